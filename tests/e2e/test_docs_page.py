"""The docs page in a real browser: it shows every endpoint, and nothing of it comes from elsewhere."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from llm_service.api.rest.docs import FILES
from llm_service.api.rest.openapi import openapi_document
from tests.support.browser import failed
from tests.support.service import Running

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

# A page that asked for another host would find none; the browser itself asks for nothing.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
ENDPOINTS = """() => [...document.querySelectorAll(".opblock-summary")].map(row => [
    row.querySelector(".opblock-summary-method").textContent.trim(),
    row.querySelector(".opblock-summary-path").dataset.path,
])"""


@dataclass
class Visit:
    """A page, the addresses that it asked for, and its complaints."""

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
async def visit(gateway: Running) -> AsyncIterator[Visit]:
    """The docs page, open and drawn."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        visit = Visit(await browser.new_page())
        visit.page.on("request", lambda request: visit.asked.append(request.url))
        visit.page.on("requestfailed", lambda request: visit.complaints.extend(failed(request)))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        await visit.page.goto(f"{gateway.address}/docs")
        await visit.page.wait_for_selector(".opblock-summary-path")
        yield visit
        await browser.close()


def described() -> set[tuple[str, str]]:
    paths = openapi_document("1.2.3", page_files=tuple(FILES))["paths"]
    return {(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"}


async def test_the_page_shows_every_endpoint(visit: Visit) -> None:
    shown = await visit.page.evaluate(ENDPOINTS)
    assert {(method, path) for method, path in shown} == described()
    assert visit.complaints == []


async def test_everything_comes_from_the_service_itself(visit: Visit, gateway: Running) -> None:
    paths = ["/docs", *(f"/docs/{name}" for name in FILES), "/openapi.json"]
    assert sorted(visit.asked) == sorted(gateway.address + path for path in paths)
    assert {urlsplit(address).hostname for address in visit.asked} == {"127.0.0.1"}


async def test_an_example_can_be_tried_from_the_page(visit: Visit) -> None:
    await visit.page.click("#operations-Generate-chat .opblock-summary-control")
    await visit.page.click("#operations-Generate-chat .try-out__btn")
    await visit.page.click("#operations-Generate-chat .execute")
    answer = await visit.page.wait_for_selector(
        "#operations-Generate-chat .live-responses-table tbody .response-col_status"
    )
    assert (await answer.inner_text()).strip().startswith("200")
    assert visit.complaints == []
