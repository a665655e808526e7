"""``providers list`` and ``providers test``."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from llm_service.bootstrap import build_provider
from llm_service.cli.configuration import complain, load, print_json
from llm_service.config import Settings, SettingsError
from llm_service.domain import LLMServiceError
from llm_service.providers import Provider, ProviderOptions, base_url_for
from llm_service.runtime import SystemClock


def show_providers(config: Path | None, *, as_json: bool) -> int:
    """List what is configured."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    rows = [row_of(name, options) for name, options in settings.providers.items()]
    if as_json:
        print_json(rows)
    else:
        print("\n".join(_line(row) for row in rows) or "No provider is configured.")
    return 0


def row_of(name: str, options: ProviderOptions) -> dict[str, Any]:
    """What an operator wants to know of a provider at a glance; the credential is only said to be there."""
    return {
        "name": name,
        "kind": options.kind or "openai_compatible",
        "base_url": base_url_for(name, options),
        "key": options.api_key is not None,
        "enabled": options.enabled,
    }


def test_providers(config: Path | None, *, name: str | None, as_json: bool) -> int:
    """Ask each provider; 1 when one fails."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    if name is not None and name not in settings.providers:
        known = ", ".join(settings.providers) or "none"
        print(f"No provider is named {name}; configured are: {known}.", file=sys.stderr)
        return 2
    results = asyncio.run(_ask_all(settings, [name] if name else [*settings.providers]))
    if as_json:
        print_json(results)
    else:
        print("\n".join(_line(result) for result in results) or "No provider is configured.")
    return 0 if all(result["ok"] for result in results) else 1


async def _ask_all(settings: Settings, names: list[str]) -> list[dict[str, Any]]:
    results = []
    for name in names:
        provider = build_provider(name, settings.providers[name], clock=SystemClock(), on_failure=_report)
        try:
            results.append(await _ask(provider))
        finally:
            await provider.aclose()
    return results


def _report(work: str, failure: BaseException) -> None:
    print(f"{work}: {failure!r}", file=sys.stderr)


async def _ask(provider: Provider) -> dict[str, Any]:
    began = time.monotonic()
    try:
        models = await provider.list_models()
        account = await provider.account()
    except LLMServiceError as error:
        return {"name": provider.name, "ok": False, "code": error.code, "error": error.message}
    result: dict[str, Any] = {
        "name": provider.name,
        "ok": account.usable,
        "models": len(models),
        "duration_ms": round((time.monotonic() - began) * 1000),
    }
    if account.balance is not None:
        result["balance"] = f"{account.balance} {account.currency or ''}".strip()
    if account.limit_remaining_usd is not None:
        result["limit_remaining_usd"] = str(account.limit_remaining_usd)
    if not account.usable:
        result["error"] = "the account has no balance"
    return result


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" if name != "name" else f"{value}:" for name, value in row.items())
