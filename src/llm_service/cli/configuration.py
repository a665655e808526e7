"""``check-config`` and ``config-schema``, and how every command gets its settings."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson

from llm_service.config import Loaded, SettingsError, json_schema, load_settings, rendered


def load(config: Path | None, overrides: Mapping[str, str] | None = None) -> Loaded:
    """The settings of this process's file, environment and command line. Raises SettingsError."""
    return load_settings(path=config, environ=os.environ, cwd=Path.cwd(), overrides=overrides or {})


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
    if as_json:
        print_json({"ok": True, "source": _source(loaded), "settings": rendered(loaded.settings)})
    else:
        print(f"ok: {_source(loaded) or 'no file; defaults and environment'}")
        print(orjson.dumps(rendered(loaded.settings), option=orjson.OPT_INDENT_2, default=str).decode())
    return 0


def print_schema() -> None:
    """The JSON Schema of the configuration file."""
    print_json(json_schema())


def print_json(value: object) -> None:
    """A value as indented JSON on standard output."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def _source(loaded: Loaded) -> str | None:
    return None if loaded.source_path is None else str(loaded.source_path)
