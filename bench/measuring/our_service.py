"""Our own service with everything on: its settings, its keys, and how it is started."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.measuring.processes import ask

ADMIN_KEY: Final = "sk-bench-example"
MODEL: Final = "mock/mock-model"
CHECKOUT: Final = Path(__file__).parents[2]
PLENTY: Final = {
    "requests_per_minute": 10**9,
    "tokens_per_minute": 10**12,
    "concurrent_requests": 10**5,
    "budget_usd": 10**6,
}
"""Limits of every kind that nobody meets."""


def settings(upstream_port: int) -> dict[str, Any]:
    """Keys, limits of every kind of everybody and of each key, prices, cache; ledger, metrics and log are never off."""
    return {
        "sandbox": "off",
        "auth": {"admin_key": ADMIN_KEY},
        "observability": {"log_format": "json"},
        "cache": {"enabled": True},
        "providers": {
            "mock": {
                "kind": "openai_compatible",
                "base_url": f"http://127.0.0.1:{upstream_port}/v1",
                "api_key": "sk-upstream-example",
            }
        },
        "prices": {"mock/*": {"input_usd": 0.1, "output_usd": 0.2}},
        "limits": {"global": PLENTY, "per_key": PLENTY},
    }


def prepared(folder: Path, *, port: int, upstream_port: int, **more: Any) -> Sequence[str]:
    """The arguments of the command line that serves so from a folder, in which its settings and data are.

    ``more``: further settings, by their sections.
    """
    file = folder / "settings.yaml"
    file.write_text(json.dumps(settings(upstream_port) | more), encoding="utf-8")  # JSON is YAML
    return ("serve", "--config", str(file), "--port", str(port), "--data-dir", str(folder / "data"))


def environment() -> Mapping[str, str]:
    """Of this process, without settings of ours, and with compiled files kept."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LLM_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PYTHONPATH": f"{CHECKOUT / 'src'}{os.pathsep}{CHECKOUT}"}


def command(arguments: Sequence[str]) -> Sequence[str]:
    return (sys.executable, "-P", "-m", "llm_service", *arguments)


def is_up(port: int) -> bool:
    return ask(port, "/health/ready")[0] == 200


def issue_key(port: int, **limits: Any) -> str:
    """A new key as its owner holds it, with limits of its own."""
    status, body = ask(
        port,
        "/admin/keys",
        body=json.dumps({"name": "bench", **limits}).encode(),
        headers={"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"},
    )
    if status not in {200, 201}:
        raise RuntimeError(f"no key was issued: {status} {body[:300]!r}")
    return str(json.loads(body)["key"])
