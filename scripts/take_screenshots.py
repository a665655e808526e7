"""Takes the pictures of docs/images: a service in front of the sandbox, a day of traffic, and Chromium.

The traffic is real, through every stage; only the clock is set back meanwhile, so that a day of it takes seconds.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.alerts import AlertingOptions, AlertOptions
from llm_service.config import Settings
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.browser import DESKTOP, PHONE, Browsing, browsing
from tests.support.rest import ask
from tests.support.service import Running, running, simulated

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
HOURS: Final = 24
QUESTION: Final = "Write two sentences on why a gateway in front of language models is worth having."
KEYS: Final = (
    {"name": "Support assistant", "user": "support", "budget_usd": "25", "requests_per_minute": 600},
    {"name": "Search", "user": "search", "tokens_per_minute": 2_000_000, "models": ["fast", "deepseek/*"]},
    {"name": "Nightly reports", "user": "reports", "budget_usd": "2", "budget_period": "day"},
)
MODELS: Final = (
    "fast",
    "fast",
    "fast",
    "deepseek/deepseek-flash",
    "openrouter/anthropic/claude-sonnet-4.5",
    "plain/gpt-4o-mini",
)


class EarlierClock(SystemClock):
    """This machine's clock, set back for a while: what is recorded meanwhile is recorded as earlier."""

    __slots__ = ("back_s",)

    def __init__(self) -> None:
        super().__init__()
        self.back_s = 0.0
        true_time = self.time
        self.time = lambda: true_time() - self.back_s

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        return datetime.now(UTC) - timedelta(seconds=self.back_s)


@dataclass(frozen=True)
class Picture:
    """A page, what is done there first, and how it is seen."""

    name: str
    page: str
    do: Any = None
    viewport: dict[str, int] | None = None
    dark: bool = False
    whole: bool = False


async def talk(visit: Browsing) -> None:
    """An answer in the playground."""
    await visit.page.get_by_label("Model").fill("openrouter/anthropic/claude-sonnet-4.5")
    await visit.page.get_by_label("Message").fill(QUESTION)
    await visit.page.get_by_role("button", name="Send").click()
    await visit.page.get_by_role("button", name="Stop").wait_for(state="hidden")


async def latest(visit: Browsing) -> None:
    """The newest record that took a second attempt, else the newest."""
    records = (await visit.page.evaluate("async () => (await fetch('/admin/usage?limit=400')).json()"))["data"]
    tried = next((one for one in records if one["attempts"] > 1 and one["status"] == "ok"), records[0])
    await visit.go(f"generations/{tried['request_id']}")


PICTURES: Final = (
    Picture("dashboard-generation", "generations", latest),
    Picture("dashboard-playground", "playground", talk),
    Picture("dashboard-providers", "providers"),
    Picture("dashboard-keys", "keys"),
    Picture("dashboard-usage-dark", "usage", dark=True),
    Picture("dashboard-phone-dark", "playground", talk, viewport=PHONE, dark=True),
    # Last: there are some minutes of live figures by then.
    Picture("dashboard-phone", "overview", viewport=PHONE),
    Picture("dashboard-overview", "overview", whole=True),
    Picture("dashboard-alerts", "alerts"),
)


@asynccontextmanager
async def busy_service() -> AsyncIterator[tuple[Running, Sandbox]]:
    """A service with named models, limits and keys, in front of a sandbox."""
    clock = EarlierClock()
    async with Sandbox(seed=7, pace_s=0.004) as sandbox:
        deployments = (
            DeploymentOptions(provider="deepseek", model="deepseek-flash"),
            DeploymentOptions(provider="openrouter", model="deepseek/deepseek-v4-flash"),
        )
        settings = Settings(
            providers=simulated(sandbox.address),
            models={"fast": ModelOptions(deployments=deployments)},
            limits=LimitsOptions(
                everybody=AllowanceOptions(requests_per_minute=6000, budget_usd=Decimal(1)), unknown_price="allow"
            ),
            alerts=(AlertOptions(name="cost-per-hour", kind="cost_per_hour", above=0.05, for_="0"),),
            alerting=AlertingOptions(defaults="on", interval_s=1),
        )
        async with running(settings, sandbox=True, cached=True, resilient=True, clock=clock) as service:
            await a_day(service, sandbox, clock)
            service.service.alerts.watch.start()
            yield service, sandbox


async def a_day(service: Running, sandbox: Sandbox, clock: EarlierClock) -> None:
    """A day of requests: few by night, some of them alike, some that fail."""
    dice = random.Random(7)  # noqa: S311 - the same picture each time
    secrets = []
    clock.back_s = HOURS * 3600.0
    for key in KEYS:
        made = await ask(service.address, "POST", "/admin/keys", orjson.dumps(key))
        secrets.append(made.json()["key"])
    for hour in range(HOURS, -1, -1):
        clock.back_s = hour * 3600.0
        by_day = 1 if 7 <= clock.now().hour <= 19 else 0
        sandbox.script("error-503", times=1 + by_day, match={"model": "deepseek-flash"})
        many = 6 + 14 * by_day + dice.randrange(8)
        await asyncio.gather(*(one_request(service.address, dice, dice.choice(secrets)) for _ in range(many)))
    clock.back_s = 0.0


async def one_request(address: str, dice: random.Random, secret: str) -> None:
    """One question, sometimes one that was asked before, sometimes for a model that there is not."""
    model = dice.choice(MODELS) if dice.random() < 0.98 else "plain/sandbox/error-503"
    number = dice.randrange(40)
    words = f"Question {number}: " + "why is the sky blue? " * (number % 17 + 1)
    body = {"model": model, "messages": [{"role": "user", "content": words}], "stream": number % 2 == 0}
    await ask(address, "POST", "/v1/chat/completions", orjson.dumps(body), Authorization=f"Bearer {secret}")


async def keep_busy(address: str) -> None:
    """Some requests each second, until cancelled."""
    dice = random.Random(8)  # noqa: S311 - the same picture each time
    secret = (await ask(address, "POST", "/admin/keys", b'{"name": "Live traffic"}')).json()["key"]
    while True:
        await one_request(address, dice, secret)
        await ask(address, "GET", "/admin/metrics")  # figures are gathered while somebody looks
        await asyncio.sleep(dice.random())


async def take(address: str, picture: Picture) -> None:
    """Take one picture."""
    async with browsing(
        address, viewport=picture.viewport or DESKTOP, dark=picture.dark, scale=2 if picture.viewport else 1
    ) as visit:
        await visit.go(picture.page)
        if picture.do is not None:
            await picture.do(visit)
        await visit.settled()
        await visit.page.wait_for_timeout(600)  # charts are drawn a frame later
        await visit.page.screenshot(path=IMAGES / f"{picture.name}.png", full_page=picture.whole)
        for complaint in visit.complaints:
            print(f"{picture.name}: {complaint}", file=sys.stderr)


async def main(names: Sequence[str]) -> None:
    """Take these pictures, or all."""
    IMAGES.mkdir(exist_ok=True)
    async with busy_service() as (service, _):
        live = asyncio.create_task(keep_busy(service.address))
        for picture in PICTURES:
            if not names or picture.name in names:
                await take(service.address, picture)
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
