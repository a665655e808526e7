"""How every entrance gets its settings, and where it keeps its data. Variables are read here alone."""

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_service.config import Loaded, Mistake, SettingsError, load_settings
from llm_service.environment.sandbox_mode import wants_sandbox
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


def _working_directory() -> Path:
    """Where relative paths begin. Raises SettingsError when somebody has removed it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        message = "is gone: start from a folder that is there"
        raise SettingsError((Mistake(source="working directory", line=0, column=0, message=message),)) from None
