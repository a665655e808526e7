"""``check-config`` and ``config-schema``, and what every command says of settings that cannot be used."""

import sys
from pathlib import Path

import orjson

from llm_service.cli.output import print_json
from llm_service.config import SettingsError, json_schema, rendered
from llm_service.environment import NOTHING_TO_SERVE, load, wants_sandbox


def complain(error: SettingsError, *, as_json: bool) -> int:
    """All mistakes at once; the exit code."""
    if as_json:
        mistakes = [{"place": str(mistake.place), "message": mistake.message} for mistake in error.mistakes]
        print_json({"ok": False, "mistakes": mistakes})
    else:
        print(f"The configuration cannot be used:\n{error}", file=sys.stderr)
    return 2


def check(config: Path | None, *, as_json: bool) -> int:
    """Check and show; 0 when it can be used."""
    try:
        loaded = load(config)
    except SettingsError as error:
        return complain(error, as_json=as_json)
    source = None if loaded.source_path is None else str(loaded.source_path)
    sandboxed, notes = wants_sandbox(loaded), [*loaded.notes]
    if not sandboxed and not loaded.settings.providers:
        notes.append(NOTHING_TO_SERVE)
    settings = rendered(loaded.settings)
    if as_json:
        print_json({"ok": True, "source": source, "sandbox": sandboxed, "notes": notes, "settings": settings})
    else:
        print(f"ok: {source or 'no file; defaults and environment'}")
        print(orjson.dumps(settings, option=orjson.OPT_INDENT_2, default=str).decode())
        print("".join(f"note: {note}\n" for note in notes), end="")
    return 0


def print_schema() -> None:
    """The JSON Schema of the configuration file."""
    print_json(json_schema())
