"""A service whose every secret is a canary, between what gives everything away and all that it tells anybody."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from llm_service.sandbox import Sandbox
from tests.support.canaries.breaking import path_with_a_defect
from tests.support.canaries.marks import Canaries
from tests.support.canaries.upstream import Giver, giving
from tests.support.process import SOURCE, Serving, place, serving
from tests.support.raw_server import read_request
from tests.support.raw_server import serving as serving_raw
from tests.support.valkey import Server, single

SIMULATED: Final = {"plain": "/openai/v1", "openrouter": "/openrouter/api/v1", "deepseek": "/deepseek"}
WORKERS: Final = 2


@dataclass
class Receiver:
    """Takes whatever it is sent: a collector, or whom alerts are told. ``heard``: every request, whole."""

    address: str = ""
    heard: list[bytes] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.heard.append(await read_request(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()


@dataclass
class Site:
    """All of it, while it runs. ``told``: what came out, by the places where it did."""

    canaries: Canaries
    folder: Path
    service: Serving
    giver: Giver
    sandbox: Sandbox
    collector: Receiver
    alerted: Receiver
    store: Server
    admin_key: str
    settings: dict[str, Any]
    told: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    @property
    def address(self) -> str:
        return self.service.address

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self, **other: Any) -> None:
        """The service's file of settings, to be read by it at the next reload."""
        write(self.folder, {**self.settings, **other})


def write(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "home").mkdir(parents=True, exist_ok=True)
    (folder / "home" / "llm-service.yaml").write_bytes(orjson.dumps(settings))


@asynccontextmanager
async def site(folder: Path, canaries: Canaries) -> AsyncIterator[Site]:
    """Two workers that log all they can, with a defect, providers that fail, a store, and listeners of every kind."""
    async with AsyncExitStack() as held:
        giver = await held.enter_async_context(giving(canaries))
        sandbox = await held.enter_async_context(Sandbox(seed=0, pace_s=0.0))
        collector, alerted = Receiver(), Receiver()
        for receiver in (collector, alerted):
            receiver.address = await held.enter_async_context(serving_raw(receiver.handle))
        store = held.enter_context(single(folder / "valkey", password=canaries.key("store password: Valkey's")))
        admin_key = canaries.key("admin key: the one")
        settings = settings_for(
            folder, canaries, giver, sandbox, collector, alerted, store_url=store.url, admin_key=admin_key
        )
        write(folder, settings)
        variables: dict[str, Any] = {
            "CANARY_PROVIDER_KEY": canaries.key("provider key: of a variable"),
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": path_with_a_defect(folder / "defect", SOURCE),
        }
        where = place(folder / "home", cached=True, **variables)
        starting = serving(where, "--workers", f"{WORKERS}")
        service = await asyncio.to_thread(starting.__enter__)
        held.push_async_callback(asyncio.to_thread, starting.__exit__, None, None, None)
        yield Site(
            canaries, folder, service, giver, sandbox, collector, alerted, store, admin_key=admin_key, settings=settings
        )


def settings_for(
    folder: Path,
    canaries: Canaries,
    giver: Giver,
    sandbox: Sandbox,
    collector: Receiver,
    alerted: Receiver,
    *,
    store_url: str,
    admin_key: str,
) -> dict[str, Any]:
    """Everything on that tells anything; time-outs short."""
    key = canaries.key
    times = {"connect_s": 1, "first_chunk_s": 0.4, "idle_s": 0.4, "total_s": 2}
    providers: dict[str, Any] = {
        name: {
            "base_url": f"{sandbox.address}{path}",
            "api_key": f"sk-{key(f'provider key: {name}')}",
            "timeouts": times,
        }
        for name, path in SIMULATED.items()
    }
    providers["giver"] = {"base_url": f"{giver.address}/v1", "api_key": "${CANARY_PROVIDER_KEY}"}
    providers["several"] = {
        "base_url": f"{giver.address}/v1",
        "api_keys": [key("provider key: first of several"), key("provider key: second of several")],
    }
    hook = {
        "kind": "webhook",
        "url": f"{alerted.address}/{key('webhook: address')}",
        "headers": {"Authorization": f"Bearer {key('webhook: header')}"},
        "secret": key("webhook: secret"),
        "retry_for_s": 0,
    }
    (folder / "logs").mkdir(parents=True)
    rule = {"kind": "error_ratio", "above": 0.1, "window": "10s", "min_count": 3, "for": "0"}
    return {
        "sandbox": "off",
        "auth": {
            "admin_key": admin_key,
            "hash_key": key("hash key: the one") * 2,
            "required": "always",
            "wrong_keys_per_minute": 1000,
        },
        "server": {"data_dir": str(folder / "data")},
        "store": {"redis_url": store_url},
        "providers": providers,
        "prices": {f"{name}/*": {"input_usd": 1, "output_usd": 2} for name in ("giver", "several", "plain")},
        "limits": {"per_user": {"requests_per_minute": 100_000}, "global": {"budget_usd": "100000"}},
        "observability": {
            "log_level": "debug",
            "log_file": str(folder / "logs" / "service.log"),
            "log_max_bytes": 65536,
            "log_keep": 1000,
            "otlp_endpoint": collector.address,
            "otlp_headers": {"Authorization": f"Bearer {key('collector: header')}"},
            "otlp_interval_s": 0.3,
            "trace_sample_ratio": 1,
            "metrics_key_label": True,
        },
        "filters": [
            {"type": "keywords", "words": [canaries.mark("filter word: blocked")]},
            {"type": "regex", "patterns": [canaries.mark("filter word: pattern")]},
            {"type": "pii", "entities": ["email"], "action": "mask", "reversible": True},
            {"type": "secrets", "action": "mask", "entropy": False},
            {"type": "prompt_injection", "action": "report"},
            {"type": "allowed_models", "allowed": ["giver/*", "several/*", *(f"{one}/*" for one in SIMULATED)]},
        ],
        "notifiers": {
            "hook": hook,
            "broken": {**hook, "url": f"http://127.0.0.1:1/{key('webhook: address of nobody')}"},
        },
        "alerting": {"interval_s": 0.5, "group_wait_s": 0, "group_interval_s": 0, "notify": ["hook", "broken"]},
        "alerts": [{**rule, "name": "all"}, {**rule, "name": "each", "per": "provider"}],
    }
