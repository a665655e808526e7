"""Chromium in front of the dashboard: what it asks for, what it complains of, and what axe finds."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.node import SCRIPTS

AXE = SCRIPTS / "node_modules" / "axe-core" / "axe.min.js"
# A page that asked for another host would find none; the browser itself asks for nothing.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
FAULTS = """async () => (await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations.filter(one => ["serious", "critical"].includes(one.impact)).map(
    one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | ")}`)"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Browsing:
    """A page, the addresses that it asked for, and its complaints."""

    page: Any
    address: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def go(self, name: str) -> None:
        """To one of the dashboard's pages, until it stands there with what it has to show."""
        await self.page.goto(f"{self.address}/dashboard#/{name}")
        await self.page.wait_for_selector("h1")
        await self.settled()

    async def settled(self) -> None:
        """Until nothing is being loaded."""
        await self.page.wait_for_function(
            "() => document.querySelector('main, .alone') && !document.querySelector('[aria-busy], .skeleton')"
        )

    async def faults(self) -> Sequence[str]:
        """What axe holds to be serious."""
        found: Sequence[str] = await self.page.evaluate(FAULTS)
        return found

    async def too_wide_px(self) -> int:
        """How far the page can be scrolled sideways."""
        wide: int = await self.page.evaluate(TOO_WIDE)
        return wide

    @property
    def hosts(self) -> set[str]:
        """Everybody who was asked for something."""
        return {urlsplit(one).netloc for one in self.asked if not one.startswith(("data:", "blob:"))}


@asynccontextmanager
async def browsing(
    address: str, *, viewport: dict[str, int] | None = None, dark: bool = False, scale: float = 1
) -> AsyncIterator[Browsing]:
    """A browser, until the block ends; the test is skipped, with the reason, where there is none."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = await browser.new_context(
            viewport=viewport or DESKTOP,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            device_scale_factor=scale,
            locale="en-GB",
            timezone_id="UTC",
            is_mobile=viewport == PHONE,
            has_touch=viewport == PHONE,
        )
        context.set_default_timeout(10_000)
        if AXE.is_file():
            await context.add_init_script(path=AXE)
        visit = Browsing(await context.new_page(), address)
        visit.page.on("request", lambda request: visit.asked.append(request.url))
        visit.page.on("requestfailed", lambda request: visit.complaints.extend(failed(request)))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        yield visit
        await browser.close()


def failed(request: Any) -> Sequence[str]:
    """Who leaves a page breaks off what it asked for; that is no failure."""
    return [] if "ERR_ABORTED" in (request.failure or "") else [f"no answer: {request.url}: {request.failure}"]
