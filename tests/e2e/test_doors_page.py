"""The example page in a real browser, from an origin of its own: it streams one answer over every door."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_service.api import ServerOptions
from llm_service.sandbox import Sandbox
from tests.e2e.test_docs_page import ARGUMENTS
from tests.support.doors import chat
from tests.support.doors.asks import OPENROUTER, REFERENCE
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, ADMIN_KEY, all_records, calls, settings_for

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

PAGE = Path(__file__).parents[2] / "docs/examples/doors.html"
SHOWN = ("rest", "graphql-sse", "graphql-ws", "websocket")
OUTPUTS = """() => Object.fromEntries([...document.querySelectorAll("output")].map(
    output => [output.id, {...output.dataset, text: output.value}]))"""


@asynccontextmanager
async def served_page() -> AsyncIterator[str]:
    """The origin of a server that has nothing but the page."""
    content = PAGE.read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def opened(origin: str) -> AsyncIterator[Any]:
    """The page, in a browser that finds no other host."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page()
        await page.goto(f"{origin}/")
        yield page
        await browser.close()


async def shown(page: Any, service: Running, *, key: str, model: str = OPENROUTER) -> Any:
    """What each door has told in the end."""
    for name, value in {"service": service.address, "key": key, "model": model}.items():
        await page.fill(f"[name={name}]", value)
    await page.click("button")
    await page.wait_for_function("""() => [...document.querySelectorAll("output")].every(
        output => ["done", "failed"].includes(output.dataset.state))""")
    return await page.evaluate(OUTPUTS)


async def test_the_page_streams_the_same_answer_over_every_door(sandbox: Sandbox) -> None:
    async with served_page() as origin, opened(origin) as page:
        settings = settings_for(sandbox, guarded=True)
        allowing = replace(settings, server=ServerOptions(allowed_origins=(origin,)))
        async with running(allowing) as service:
            expected = await REFERENCE.ask(service.address, chat(OPENROUTER), key=ADMIN_KEY)
            told = await shown(page, service, key=ADMIN_KEY)
            surfaces = sorted(record["surface"] for record in await all_records(service, ADMIN))
    assert told == {name: {"state": "done", "cost": expected.cost_usd, "text": expected.text} for name in SHOWN}
    assert surfaces == ["graphql", "graphql", "rest", "rest", "websocket"]
    assert len(calls(sandbox)) == 5


async def test_the_page_tells_what_went_wrong_at_every_door(sandbox: Sandbox) -> None:
    async with served_page() as origin, opened(origin) as page:
        settings = settings_for(sandbox, guarded=True)
        allowing = replace(settings, server=ServerOptions(allowed_origins=(origin,)))
        async with running(allowing) as service:
            broken = await shown(page, service, key=ADMIN_KEY, model="plain/sandbox/cut-after-3")
            refused = await shown(page, service, key="llms_wrong")
        async with running(settings) as service:
            foreign = await shown(page, service, key=ADMIN_KEY)
    for told in (broken, refused, foreign):
        assert [told[name]["state"] for name in SHOWN] == ["failed"] * 4
    assert len({told["text"] for told in broken.values()}) == 1
    assert all(told["text"].strip().startswith("[") for told in (*refused.values(), *foreign.values()))
    assert len(calls(sandbox)) == 4
