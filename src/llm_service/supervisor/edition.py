"""The settings under the number by which they came into force, and why others did not."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Final

from llm_service.config import Loaded, Settings, SettingsError
from llm_service.domain import fact
from llm_service.runtime import Clock

RESTART_ONLY: Final = (
    "server.host", "server.port", "server.admin_host", "server.admin_port", "server.workers", "server.data_dir",
    "store.", "ledger.", "auth.hash_key",
    "cache.max_bytes", "cache.eviction", "cache.semantic.", "streams.retention_s", "streams.max_bytes",
    "streams.total_bytes", "observability.log_file", "observability.log_max_bytes", "observability.log_keep",
    "observability.log_compress",
)  # fmt: skip
"""Settings by the beginnings of their paths that hold from the start of the service to its end: its stores, which all
graphs of a process share, are opened by them."""
TLS: Final = "server.tls"
"""Whether the ports speak it holds as long; with which files, and how, a reload changes."""


@fact
class Generation:
    """A state of the settings: 1 at the start of the service, one more with each reload."""

    number: int
    loaded_at: datetime


@fact
class Edition:
    """The settings of one generation."""

    generation: Generation
    loaded: Loaded


Read = Callable[[], Loaded]
"""Reads and checks file, environment and command line anew. Raises SettingsError, or ReloadRefused."""


class ReloadRefused(Exception):
    """The settings in force stay; holds every reason, one line each. Never shows a secret."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def first_edition(loaded: Loaded, clock: Clock) -> Edition:
    """What the service starts with."""
    return Edition(generation=Generation(number=1, loaded_at=clock.now()), loaded=loaded)


def next_edition(current: Edition, read: Read, clock: Clock) -> Edition:
    """What is to come after the current one. Raises ReloadRefused with all mistakes at once."""
    try:
        loaded = read()
    except SettingsError as error:
        raise ReloadRefused(*map(str, error.mistakes)) from error
    if names := needing_restart(current.loaded.settings, loaded.settings):
        raise ReloadRefused(f"{', '.join(names)}: a change takes a restart of the service")
    generation = Generation(number=current.generation.number + 1, loaded_at=clock.now())
    return Edition(generation=generation, loaded=loaded)


def needing_restart(old: Settings, new: Settings) -> tuple[str, ...]:
    """The paths of the changed settings that a reload cannot change."""
    return tuple(path for path in _changed(old, new) if path.startswith(RESTART_ONLY) or path == TLS)


def _changed(old: object, new: object, at: str = "") -> Iterator[str]:
    if is_dataclass(old) and type(old) is type(new):
        for setting in fields(old):
            below = f"{at}.{setting.name}" if at else setting.name
            yield from _changed(getattr(old, setting.name), getattr(new, setting.name), below)
    elif old != new:
        yield at
