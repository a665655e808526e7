"""``providers list`` and ``providers test``."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from llm_service.bootstrap import build_provider, build_site
from llm_service.cli.configuration import complain
from llm_service.cli.database import CannotOpen, existing_database
from llm_service.cli.output import print_json, refuse
from llm_service.cli.provider_states import state_row
from llm_service.cli.where import Where
from llm_service.config import Loaded, Settings, SettingsError
from llm_service.environment import data_dir_of, load
from llm_service.providers import ProviderOptions, base_url_for
from llm_service.runtime import DataDirError, SystemClock
from llm_service.services import Override, read_overrides, tried
from llm_service.storage import SQLITE_NAME, StoreUnavailable

Row = dict[str, Any]


def show_providers(where: Where, *, as_json: bool) -> int:
    """List what is configured, and what was decided at run time; the exit code."""
    try:
        loaded = load(where.config, where.overrides)
    except SettingsError as error:
        return complain(error, as_json=as_json)
    known = asyncio.run(decided_later(loaded))
    rows = [row_of(name, options, known.get(name)) for name, options in loaded.settings.providers.items()]
    _show(rows, [provider_line(row) for row in rows], as_json=as_json)
    return 0


async def decided_later(loaded: Loaded) -> dict[str, Override]:
    """What was decided at run time, as far as the database can be read; nothing where there is none yet."""
    try:
        data_dir = data_dir_of(loaded)
        if loaded.settings.store.database_url is None and not (data_dir / SQLITE_NAME).exists():
            return {}
        async with existing_database(loaded.settings, data_dir) as database:
            return dict((await read_overrides(database.facts)).overrides)
    except (CannotOpen, DataDirError, OSError, StoreUnavailable) as error:
        print(f"What was decided at run time cannot be read: {error}.", file=sys.stderr)
        return {}


def row_of(name: str, options: ProviderOptions, override: Override | None = None) -> Row:
    """What an operator wants to know of a provider at a glance; the credential is only said to be there."""
    return {
        "name": name,
        "kind": options.kind or "openai_compatible",
        "base_url": base_url_for(name, options),
        "key": options.api_key is not None or bool(options.api_keys),
        "enabled": options.enabled,
        **state_row(name, options, override),
    }


def provider_line(row: Row) -> str:
    """A provider as a line."""
    key = "with a key" if row["key"] else "without a key"
    state = {"enabled": "", "disabled": ", switched off", "draining": ", being drained"}[row["state"]]
    if row["override"] is not None:
        state = f"{state or ', switched on'} since {row['override']['since']}"
    return f"{row['name']}: {row['kind']} at {row['base_url']}, {key}{state}"


def test_providers(config: Path | None, *, name: str | None, as_json: bool) -> int:
    """Ask each provider; 1 when one fails."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    if name is not None and name not in settings.providers:
        return refuse(unknown_provider(name, settings), as_json=as_json)
    rows = asyncio.run(ask_all(settings, [name] if name else [*settings.providers]))
    _show(rows, [result_line(row) for row in rows], as_json=as_json)
    return 0 if all(row["ok"] for row in rows) else 1


def unknown_provider(name: str, settings: Settings) -> str:
    """What to say of a name that is no provider's."""
    return f"No provider is named {name}; configured are: {', '.join(settings.providers) or 'none'}."


def result_line(row: Row) -> str:
    """What came of asking a provider: a line, and where it failed two more with what is wrong and what to do."""
    if "models" not in row or not row["ok"]:
        return f"{row['name']}: {row['code']}: {row['error']}\n  {row['problem']}\n  {row['remedy']}"
    facts = [f"{row['models']} models", f"{row['duration_ms']} ms"]
    facts += [f"{name.replace('_', ' ')} {row[name]}" for name in ("balance", "limit_remaining_usd") if name in row]
    return f"{row['name']}: ok, {', '.join(facts)}"


async def ask_all(settings: Settings, names: list[str]) -> list[Row]:
    """What came of asking each, all of them at once."""
    return await asyncio.gather(*(ask(name, settings.providers[name]) for name in names))


async def ask(name: str, options: ProviderOptions) -> Row:
    """What came of asking for the catalogue and the account."""
    clock = SystemClock()
    provider = build_provider(name, options, clock=clock, on_failure=report_failure)
    try:
        return await tried(provider, build_site(name, options), clock)
    finally:
        await provider.aclose()


def report_failure(work: str, failure: BaseException) -> None:
    """Of background work."""
    print(f"{work}: {failure!r}", file=sys.stderr)


def _show(rows: list[Row], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print("\n".join(lines) or "No provider is configured.")
