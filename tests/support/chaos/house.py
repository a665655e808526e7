"""A service between a steady load and simulated providers, each behind a line that can be made to fail."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tests.support.chaos.certificates import Certificates
from tests.support.chaos.line import Line
from tests.support.chaos.load import Steady
from tests.support.deployment import ADMIN_KEY, HASH_KEY, sandbox_process
from tests.support.process import Serving, executed_place, serving
from tests.support.rest import ask
from tests.support.waiting import until_answered
from tests.support.workers import generations, log_of

MOUNTS: Final[Mapping[str, str]] = {"first": "/openai/v1", "second": "/local/v1", "third": "/deepseek"}
"""Where the sandbox plays each provider."""
DIALECTS: Final[Mapping[str, str]] = {"first": "openai", "second": "local", "third": "deepseek"}
TIMEOUTS: Final[Mapping[str, float]] = {"connect_s": 0.8, "first_chunk_s": 0.8, "idle_s": 0.8, "total_s": 2.0}
MODEL: Final = "sandbox/pace-5ms"


@dataclass
class House:
    """All of it, while it runs."""

    folder: Path
    service: Serving
    sandbox: str
    lines: Mapping[str, Line]
    workers: int
    settings: dict[str, Any]
    _certificates: Certificates | None = None
    _generation: int = 1

    @property
    def certificates(self) -> Certificates:
        """Of a first provider that speaks TLS."""
        assert self._certificates is not None
        return self._certificates

    def load(self, rate_per_s: float, *models: str, timeout_s: float | None = None) -> Steady:
        """Clients of the service."""
        return Steady(self.service.address, models or ("main", "chained"), rate_per_s, ADMIN_KEY, timeout_s)

    async def calls(self) -> Counter[str]:
        """How many requests each provider has been sent, by the sandbox's own counts."""
        stats = (await ask(self.sandbox, "GET", "/_stats")).json()
        return Counter({name: sum(stats["providers"].get(dialect, {}).values()) for name, dialect in DIALECTS.items()})

    def failed_attempts(self) -> int:
        """How many calls have failed before their first content, also those that reached nobody, by the log."""
        return sum(line["event"] == "attempt failed" for line in log_of(self.service))

    async def behave(self, provider: str, behaviour: str | None) -> None:
        """From now on the provider behaves so; None: well."""
        if behaviour is None:
            answer = await ask(self.sandbox, "DELETE", "/_control")
        else:
            rule = {"match": {"provider": DIALECTS[provider]}, "behaviour": behaviour}
            answer = await ask(self.sandbox, "POST", "/_control", orjson.dumps(rule))
        assert answer.status < 300, answer.body

    async def move(self, provider: str, base_url: str) -> None:
        """Give the provider another address, by a reload of the settings under way."""
        self.settings["providers"][provider]["base_url"] = base_url
        write(self.folder, self.settings)
        self._generation += 1
        self.service.child.signal(signal.SIGHUP)

        async def reloaded() -> bool:
            return set(await generations(self.service, workers=self.workers)) == {self._generation}

        await until_answered(reloaded, within_s=10)

    def address_of(self, provider: str, *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Where the provider is, behind its line."""
        return f"{scheme}://{host}:{self.lines[provider].port}{MOUNTS[provider]}"


@asynccontextmanager
async def house(
    folder: Path,
    *,
    workers: int,
    certificates: Certificates | None = None,
    timeouts: Mapping[str, float] = TIMEOUTS,
    cached: bool = False,
    **settings: Any,
) -> AsyncIterator[House]:
    """Three providers, a model of two deployments, and one with a fallback model.

    ``certificates``: the first provider speaks TLS by these. ``cached``: the response cache is on.
    """
    async with AsyncExitStack() as held:
        opening = sandbox_process(folder / "upstream")
        sandbox = await asyncio.to_thread(opening.__enter__)
        held.push_async_callback(asyncio.to_thread, opening.__exit__, None, None, None)
        port = urlsplit(sandbox).port
        assert port is not None
        tls = {"first": certificates.good} if certificates is not None else {}
        lines = {name: await held.enter_async_context(Line(port, tls.get(name))) for name in MOUNTS}
        written = settings_for(folder, lines, certificates, timeouts, **settings)
        write(folder, written)
        starting = serving(executed_place(folder / "home", cached=cached, resilient=True), "--workers", f"{workers}")
        service = await asyncio.to_thread(starting.__enter__)
        held.push_async_callback(asyncio.to_thread, starting.__exit__, None, None, None)
        yield House(folder, service, sandbox, lines, workers, written, certificates)


def settings_for(
    folder: Path,
    lines: Mapping[str, Line],
    certificates: Certificates | None,
    timeouts: Mapping[str, float],
    **more: Any,
) -> dict[str, Any]:
    """Time-outs are short, so that a fault of seconds is many of them long."""
    providers: dict[str, dict[str, Any]] = {
        name: {"base_url": f"http://127.0.0.1:{line.port}{MOUNTS[name]}", "api_key": "sk-sandbox", "timeouts": timeouts}
        for name, line in lines.items()
    }
    for name in ("second", "third"):
        providers[name]["timeouts"] = timeouts
    providers["third"]["kind"] = "deepseek"
    if certificates is not None:
        providers["first"]["base_url"] = f"https://localhost:{lines['first'].port}{MOUNTS['first']}"
        providers["first"]["ca_file"] = str(certificates.authority)
    deployments = {name: {"provider": name, "model": MODEL} for name in lines}
    return {
        "sandbox": "off",
        "auth": {"admin_key": ADMIN_KEY, "hash_key": HASH_KEY, "required": "always"},
        "server": {"data_dir": str(folder / "data")},
        "providers": providers,
        "models": {
            "main": {"deployments": [deployments["first"], deployments["second"]]},
            "chained": {"deployments": [deployments["first"]], "fallbacks": ["spare"]},
            "spare": {"deployments": [deployments["third"]]},
        },
        **more,
    }


def write(folder: Path, settings: Mapping[str, Any]) -> None:
    """The service's file of settings."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "llm-service.yaml").write_bytes(orjson.dumps(settings))
