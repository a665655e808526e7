"""Who is compared: how each is started, what of a gateway's work it does here, what to know of its figures."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KEY: Final = "sk-bench-example"
SETTINGS: Final = Path(__file__).with_name("settings")
FEATURES: Final = ("keys", "limits", "budgets", "cache", "ledger", "metrics", "access log", "bodies parsed")
YES, NO = "on", "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One gateway as it is measured.

    Words of ``command``, ``environment`` and ``headers`` may hold ``@BIN@`` (where its own programs are), ``@PORT@``,
    ``@UPSTREAM@`` (the upstream's port) and ``@FOLDER@`` (this run's, with the file of settings in it).
    """

    name: str
    pin: str
    """Under which its packages stand in pins.json."""
    command: tuple[str, ...]
    on: Mapping[str, str]
    """What of ``FEATURES`` is switched on, and in which form; others are off, or not offered."""
    settings: str | None = None
    """A file in ``settings/``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    model: str = "mock-model"
    key: str = KEY
    version: tuple[str, ...] = ()
    """A command that tells it, where its packages do not."""
    caches: bool = False
    paced_streams: int = 200
    """Fewer for who cannot keep up with so many."""
    stops_by: signal.Signals = signal.SIGTERM
    """By which it is asked to end when its streams have."""
    note: str = ""


LITELLM: Final = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}

PEERS: Final = (
    Peer(
        name="nginx",
        pin="nginx",
        command=("nginx", "-c", "@FOLDER@/nginx.conf", "-p", "@FOLDER@"),
        settings="nginx.conf",
        on={},
        version=("nginx", "-v"),
        stops_by=signal.SIGQUIT,
        note="a reverse proxy: it looks at heads alone",
    ),
    Peer(
        name="haproxy",
        pin="haproxy",
        command=("haproxy", "-f", "@FOLDER@/haproxy.cfg"),
        settings="haproxy.cfg",
        on={},
        version=("haproxy", "-v"),
        stops_by=signal.SIGUSR1,
        note="a reverse proxy: it looks at heads alone; one thread",
    ),
    Peer(
        name="envoy",
        pin="envoy",
        command=("@BIN@/envoy", "-c", "@FOLDER@/envoy.yaml", "--concurrency", "1", "-l", "error"),
        settings="envoy.yaml",
        on={"metrics": YES},
        note="a reverse proxy: it looks at heads alone; one worker",
    ),
    Peer(
        name="rolter",
        pin="rolter",
        command=("@BIN@/rolter", "gateway", "-c", "@FOLDER@/rolter.toml"),
        settings="rolter.toml",
        environment={"RUST_LOG": "error"},
        on={"keys": YES, "bodies parsed": YES},
        note="its limits want a Redis, and are off",
    ),
    Peer(
        name="ferro",
        pin="ferro",
        command=("@BIN@/ferrogw", "serve"),
        settings="ferro.yaml",
        environment={
            "OPENAI_API_KEY": "sk-upstream-example",
            "OPENAI_BASE_URL": "http://127.0.0.1:@UPSTREAM@",
            "MASTER_KEY": KEY,
            "GATEWAY_CONFIG": "@FOLDER@/ferro.yaml",
            "ALLOW_UNAUTHENTICATED_PROXY": "true",
            "RATE_LIMIT_RPS": "10000000",
            "RATE_LIMIT_BURST": "10000000",
            "PORT": "@PORT@",
            "LOG_LEVEL": "error",
            "GOMAXPROCS": "1",
        },
        model="gpt-4o",
        on={"limits": "one of requests a second", "bodies parsed": YES},
        note="keys of the proxy are off; one processor (GOMAXPROCS)",
    ),
    Peer(
        name="portkey",
        pin="portkey",
        command=("node", "@BIN@/node_modules/@portkey-ai/gateway/build/start-server.js", "--port=@PORT@", "--headless"),
        environment={"NODE_ENV": "production"},
        headers=("x-portkey-provider: openai", "x-portkey-custom-host: http://127.0.0.1:@UPSTREAM@/v1"),
        on={"bodies parsed": YES},
        paced_streams=20,
        note="hono and @hono/node-server are older than it asks for: with the newest its streams fail",
    ),
    Peer(
        name="litellm",
        pin="litellm",
        command=(
            *("@BIN@/litellm", "--config", "@FOLDER@/litellm.yaml"),
            *("--host", "127.0.0.1", "--port", "@PORT@", "--num_workers", "1"),
        ),
        settings="litellm.yaml",
        environment=LITELLM,
        on={"keys": "the master key", "bodies parsed": YES},
        paced_streams=20,
        note="one worker, no database: no keys of its own, no budgets, no record of what was used",
    ),
    Peer(
        name="litellm, cache on",
        pin="litellm",
        command=(
            *("@BIN@/litellm", "--config", "@FOLDER@/litellm-cache.yaml"),
            *("--host", "127.0.0.1", "--port", "@PORT@", "--num_workers", "1"),
        ),
        settings="litellm-cache.yaml",
        environment=LITELLM,
        on={"keys": "the master key", "cache": "in memory", "bodies parsed": YES},
        caches=True,
        paced_streams=20,
        note="as above; answers are kept in memory",
    ),
)

OURS: Final = "llm-service"
OURS_ON: Final = {
    "keys": "an issued key",
    "limits": "requests, tokens, at a time; of all and of the key",
    "budgets": YES,
    "cache": "in memory",
    "ledger": "journal and SQLite",
    "metrics": YES,
    "access log": YES,
    "bodies parsed": YES,
}
