"""Which lines are wanted: as configured, or as it was decided while the service runs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.observability.options import LogLevel

RANKS: Final[Mapping[LogLevel, int]] = MappingProxyType({"debug": 10, "info": 20, "warning": 30, "error": 40})


class LevelOverride:
    """The level that all logs of a process go by in place of the configured one; ``None``: as configured."""

    __slots__ = ("_level", "rank")

    def __init__(self) -> None:
        self._level: LogLevel | None = None
        self.rank: int | None = None

    @property
    def level(self) -> LogLevel | None:
        """The one that holds, from the next line on."""
        return self._level

    @level.setter
    def level(self, level: LogLevel | None) -> None:
        self._level = level
        self.rank = None if level is None else RANKS[level]


class Threshold:
    """The least rank that one log writes."""

    __slots__ = ("_configured", "_override")

    def __init__(self, level: LogLevel, override: LevelOverride) -> None:
        self._configured = RANKS[level]
        self._override = override

    @property
    def least(self) -> int:
        """Of the lines that are written now."""
        override = self._override.rank
        return self._configured if override is None else override
