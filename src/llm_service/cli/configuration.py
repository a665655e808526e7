"""``check-config`` and ``config-schema``, and how every command gets its settings.

The environment is read here alone (``LLM_SERVICE_KEY``: by typer).
"""

import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from llm_service.cli.output import print_json
from llm_service.cli.sandbox_mode import NOTHING_TO_SERVE, wants_sandbox
from llm_service.config import Loaded, Mistake, SettingsError, json_schema, load_settings, rendered
from llm_service.runtime import default_data_dir


def load(config: Path | None, overrides: Mapping[str, str] | None = None) -> Loaded:
    """The settings of this process's file, environment and command line. Raises SettingsError."""
    loaded = load_settings(path=config, environ=os.environ, cwd=_working_directory(), overrides=overrides or {})
    if mistakes := tuple(unusable_authorities(loaded)):
        raise SettingsError(mistakes)
    return loaded


def data_dir_of(loaded: Loaded) -> Path:
    """Where the state lies; the sandbox's lies apart."""
    base = loaded.settings.server.data_dir or default_data_dir(os.environ)
    return base / "sandbox" if wants_sandbox(loaded) else base


def unusable_authorities(loaded: Loaded) -> Iterator[Mistake]:
    """The files of certificate authorities that are named and cannot be used: better said now than as a traceback."""
    settings = loaded.settings
    files = {f"providers.{name}.ca_file": options.ca_file for name, options in settings.providers.items()}
    files |= {f"notifiers.{name}.ca_file": options.ca_file for name, options in settings.notifiers.items()}
    for setting, ca_file in files.items():
        if ca_file is None:
            continue
        try:
            ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            what = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            place = loaded.provenance.get(setting, setting)
            yield Mistake(source=place, line=0, column=0, message=f"{setting} cannot be used: {what}")


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


def _working_directory() -> Path:
    """Where relative paths begin. Raises SettingsError when somebody has removed it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        message = "is gone: start from a folder that is there"
        raise SettingsError((Mistake(source="working directory", line=0, column=0, message=message),)) from None
