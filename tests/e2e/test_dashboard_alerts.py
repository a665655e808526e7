"""A provider of the sandbox fails: the dashboard shows the alert fire, lets it be silenced, and shows it resolved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import orjson
import pytest

from llm_service.alerts import AlertingOptions, AlertOptions
from llm_service.config import Settings
from llm_service.sandbox import Sandbox
from tests.support.browser import AXE, Browsing, browsing
from tests.support.rest import ask, chat_body
from tests.support.service import Running, running, simulated

MODEL = "plain/sandbox/tokens-5+pace-0ms"
RULE = "plain-fails"


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    """It looks at its one rule five times a second."""
    rule = AlertOptions(
        name=RULE,
        kind="error_ratio",
        per="provider",
        above=0.4,
        window="2s",
        min_count=3,
        for_="0",
        keep_firing_for="0",
        severity="critical",
    )
    quick = AlertingOptions(interval_s=0.2, group_wait_s=0, group_interval_s=0)
    async with running(Settings(providers=simulated(sandbox.address), alerts=(rule,), alerting=quick)) as service:
        service.service.alerts.watch.start()
        yield service


@pytest.fixture
async def busy(service: Running) -> AsyncIterator[None]:
    """Somebody asks all the time."""

    async def go_on() -> None:
        while True:
            await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL))
            await asyncio.sleep(0.05)

    asking = asyncio.create_task(go_on())
    yield
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def shown(visit: Browsing, text: str) -> None:
    await visit.page.get_by_text(text).first.wait_for(timeout=20_000)


@pytest.mark.timeout(90)
@pytest.mark.usefixtures("busy")
async def test_an_alert_is_seen_to_fire_and_to_resolve(service: Running, sandbox: Sandbox) -> None:
    async with browsing(service.address) as visit:
        page = visit.page
        await visit.go("alerts")
        await shown(visit, "Nothing fires")
        failing = orjson.dumps({"behaviour": "error-500", "match": {"provider": "openai"}})
        await ask(sandbox.address, "POST", "/_control", failing)
        now = page.get_by_role("region", name="Alerts now").get_by_role("row").filter(has_text=RULE)
        await now.get_by_text("firing").wait_for(timeout=20_000)
        assert AXE.is_file() is False or await visit.faults() == []
        await now.get_by_role("button", name="Silence").click()
        await page.get_by_label("Why").fill("of a test")
        await page.get_by_role("dialog").get_by_role("button", name="Silence", exact=True).click()
        await now.get_by_text("silenced").wait_for()
        await visit.go("overview")
        await shown(visit, "1 alert fires")

        await ask(sandbox.address, "DELETE", "/_control")
        await visit.go("alerts")
        await now.wait_for(state="detached", timeout=20_000)
        past = page.get_by_role("region", name="What happened").get_by_role("row").filter(has_text=RULE)
        await past.filter(has_text="resolved").first.wait_for(timeout=20_000)
        assert await past.filter(has_text="firing").count() == 1
        assert visit.complaints == []
