"""GraphiQL in a real browser: it knows the schema, sends, listens, and asks for nothing elsewhere."""

import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from llm_service.api.graphql.playground import FILES
from tests.e2e.test_docs_page import ARGUMENTS, Visit
from tests.support.browser import failed
from tests.support.service import Running

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")


@pytest.fixture
async def visit(gateway: Running) -> AsyncIterator[Visit]:
    """The page, open and drawn."""
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
        await visit.page.goto(f"{gateway.address}/graphql")
        await visit.page.wait_for_selector(".graphiql-execute-button")
        yield visit
        await browser.close()


async def result_of(page: Any, tab: int, expected: str) -> str:
    """What the page shows when the example of a tab was sent."""
    await page.locator(".graphiql-tab").nth(tab).locator("button").first.click()
    await page.locator(".graphiql-execute-button").click()
    shown = page.locator(".result-window")
    await page.wait_for_function(
        "text => document.querySelector('.result-window').textContent.includes(text)", arg=expected, timeout=10_000
    )
    return str(await shown.text_content())


async def test_the_examples_work_and_nothing_comes_from_elsewhere(gateway: Running, visit: Visit) -> None:
    assert '"data"' in await result_of(visit.page, 0, '"keyId"')
    assert '"cost"' in await result_of(visit.page, 1, '"finishReason"')
    assert '"chatStream"' in await result_of(visit.page, 2, '"cursor"')
    assert '"usage"' in await result_of(visit.page, 3, '"generations"')
    hosts = {urlsplit(address).netloc for address in visit.asked if not address.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(gateway.address).netloc}
    asked = {urlsplit(address).path for address in visit.asked if not address.startswith(("data:", "blob:"))}
    assert asked == {"/graphql", *(f"/graphql/{name}" for name in FILES)}
    assert not visit.complaints
    assert not gateway.log.of("defect")
