"""The driver port: what the stores ask of an engine, and how statements are written for both.

Statements name their values ``:name`` and lists ``= ANY(:names)``; each driver turns that into its own style, once for
every text.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from llm_service.storage.ports import Reach

T = TypeVar("T")

Value = str | int | float | bytes | None | Sequence[str]
Values = Mapping[str, Value]
Row = Mapping[str, Any]

NO_VALUES: Final[Values] = MappingProxyType({})
NAMED: Final = re.compile(r"(?<![:\w]):([a-z]\w*)")

LOOK_UP_S: Final = 1.0
"""How long a request waits for one indexed look-up."""
WORK_S: Final = 5.0
"""How long everything else may take; also how long SQLite waits for another process that writes."""
LONG_S: Final = 60.0
"""Reports over all records, and removing them."""


class DatabaseError(Exception):
    """The database cannot be opened; the message says why and what to do about it, and holds no password."""


class Conflict(Exception):
    """Something else of this name is kept already: a key's id, a secret's prefix, a seal's place."""


class Session(Protocol):
    """Statements of one transaction."""

    async def rows(self, statement: str, values: Values = NO_VALUES) -> Sequence[Row]:
        """All rows that a statement gives back."""

    async def many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """An INSERT for each of the rows, whose values stand in the order in which the statement names them.

        They are named as their columns; no row is in conflict with another one, and no value may be bytes.
        """


Work = Callable[[Session], Awaitable[T]]
"""What is done in a transaction. It awaits the session and nothing else: SQLite runs it in a thread without a loop."""


class Driver(Protocol):
    """One engine. Everything raises StoreUnavailable when the engine does not answer within ``timeout_s``."""

    reach: Reach

    async def rows(self, statement: str, values: Values = NO_VALUES, *, timeout_s: float = WORK_S) -> Sequence[Row]:
        """Rows of one statement that changes nothing."""

    async def read(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        """Work that changes nothing, on one state of the database."""

    async def write(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        """Work in one transaction: all of it or nothing. Raises Conflict when a unique name is taken."""

    async def ping(self) -> None:
        """Raises StoreUnavailable when the engine cannot be reached."""

    async def check(self) -> Sequence[str]:
        """What is wrong with the stored data, as far as the engine can tell."""

    async def aclose(self) -> None:
        """Let go of connections."""
