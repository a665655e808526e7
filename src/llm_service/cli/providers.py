"""``providers list`` and ``providers test``."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from llm_service.bootstrap import build_provider
from llm_service.cli.configuration import complain, load
from llm_service.cli.output import print_json, refuse
from llm_service.config import Settings, SettingsError
from llm_service.domain import LLMServiceError
from llm_service.providers import Provider, ProviderOptions, base_url_for
from llm_service.runtime import SystemClock

Row = dict[str, Any]


def show_providers(config: Path | None, *, as_json: bool) -> int:
    """List what is configured; the exit code."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    rows = [row_of(name, options) for name, options in settings.providers.items()]
    _show(rows, [provider_line(row) for row in rows], as_json=as_json)
    return 0


def row_of(name: str, options: ProviderOptions) -> Row:
    """What an operator wants to know of a provider at a glance; the credential is only said to be there."""
    return {
        "name": name,
        "kind": options.kind or "openai_compatible",
        "base_url": base_url_for(name, options),
        "key": options.api_key is not None or bool(options.api_keys),
        "enabled": options.enabled,
    }


def provider_line(row: Row) -> str:
    """A provider as a line."""
    key = "with a key" if row["key"] else "without a key"
    return f"{row['name']}: {row['kind']} at {row['base_url']}, {key}{'' if row['enabled'] else ', switched off'}"


def test_providers(config: Path | None, *, name: str | None, as_json: bool) -> int:
    """Ask each provider; 1 when one fails."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    if name is not None and name not in settings.providers:
        known = ", ".join(settings.providers) or "none"
        return refuse(f"No provider is named {name}; configured are: {known}.", as_json=as_json)
    rows = asyncio.run(ask_all(settings, [name] if name else [*settings.providers]))
    _show(rows, [result_line(row) for row in rows], as_json=as_json)
    return 0 if all(row["ok"] for row in rows) else 1


def result_line(row: Row) -> str:
    """What came of asking a provider, as a line."""
    if "code" in row:
        return f"{row['name']}: {row['code']}: {row['error']}"
    facts = [f"{row['models']} models", f"{row['duration_ms']} ms"]
    facts += [f"{name.replace('_', ' ')} {row[name]}" for name in ("balance", "limit_remaining_usd") if name in row]
    return f"{row['name']}: {'ok' if row['ok'] else row['error']}, {', '.join(facts)}"


async def ask_all(settings: Settings, names: list[str]) -> list[Row]:
    """What came of asking each, all of them at once."""
    return await asyncio.gather(*(ask(name, settings.providers[name]) for name in names))


async def ask(name: str, options: ProviderOptions) -> Row:
    """What came of asking for the catalogue and the account."""
    provider = build_provider(name, options, clock=SystemClock(), on_failure=_report)
    began = time.monotonic()
    try:
        return await _answers_of(provider, began)
    except LLMServiceError as error:
        return {"name": name, "ok": False, "code": error.code, "error": error.message}
    finally:
        await provider.aclose()


async def _answers_of(provider: Provider, began: float) -> Row:
    models = await provider.list_models()
    account = await provider.account()
    row: Row = {
        "name": provider.name,
        "ok": account.usable,
        "models": len(models),
        "duration_ms": round((time.monotonic() - began) * 1000),
    }
    if account.balance is not None:
        row["balance"] = f"{account.balance} {account.currency or ''}".strip()
    if account.limit_remaining_usd is not None:
        row["limit_remaining_usd"] = str(account.limit_remaining_usd)
    if not account.usable:
        row["error"] = "the account has no balance"
    return row


def _report(work: str, failure: BaseException) -> None:
    print(f"{work}: {failure!r}", file=sys.stderr)


def _show(rows: list[Row], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print("\n".join(lines) or "No provider is configured.")
