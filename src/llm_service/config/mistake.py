"""What is wrong with the settings, said with its place; all of it at once."""

from dataclasses import dataclass, field
from pathlib import Path

from llm_service.domain import fact_in_order

_LONGEST_SHOWN = 200
_DIGITS_OF_A_NAME = 3  # no setting has one, no key that is worth guarding has so few


@fact_in_order
class Source:
    """Something that gives settings: a file, a variable, an option of the command line."""

    name: str
    folder: Path
    """What relative paths in it are relative to."""
    expands: bool = True
    """Whether `${VAR}` and `file:` mean something in it (on a command line the shell does that)."""


@fact_in_order
class Place:
    """Where something is given; line and column count from 1, 0 where there is none."""

    source: Source
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}" if self.line else self.source.name


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake. `place` is a file with line and column, a variable, or an option of the command line."""

    source: str
    line: int
    column: int
    message: str = field(compare=False)

    @classmethod
    def at(cls, place: Place, message: str) -> "Mistake":
        return cls(source=place.source.name, line=place.line, column=place.column, message=message)

    @property
    def place(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class SettingsError(Exception):
    """The settings cannot be used; holds every mistake, in the order of files and lines. Never shows a secret."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes

    def __str__(self) -> str:
        count = len(self.mistakes)
        head = "1 mistake in the settings:" if count == 1 else f"{count} mistakes in the settings:"
        return "\n".join([head, *(f"  {mistake}" for mistake in self.mistakes)])


def shown(name: str) -> str:
    """A name as messages show it: on one line, not too long, quoted unless it is plain."""
    if len(name) <= _LONGEST_SHOWN and name.isascii() and name.isprintable() and name.strip() == name != "":
        return name
    short = name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "..."
    return ascii(short)


def shown_name(name: str) -> str:
    """A name that has no place where it stands, as messages show it: it may be a secret that slipped out of a value."""
    return "a name that is not shown" if sum(letter.isdigit() for letter in name) > _DIGITS_OF_A_NAME else shown(name)
