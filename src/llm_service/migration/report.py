"""What became of each line of a foreign file: carried over as it was, carried over differently, or not."""

from collections.abc import Collection, Iterator
from enum import StrEnum

from llm_service.config import Place, Scalar, is_null
from llm_service.domain import fact
from llm_service.migration.source import Found


class Outcome(StrEnum):
    """What became of a value."""

    CARRIED = "carried"
    CHANGED = "changed"
    LOST = "lost"


@fact
class Item:
    """One value of the file and what became of it. ``to``: the setting it became. ``message``: what to know or do."""

    path: str
    place: Place
    outcome: Outcome
    to: str = ""
    message: str = ""


@fact
class Added:
    """A setting that no line of the file asked for, and why it is there."""

    to: str
    message: str


class Report:
    """Collects what is said of a file; in the end nothing of it is left without a word."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str, str], Item] = {}
        self.added: list[Added] = []
        self._said: set[str] = set()
        self._whole: set[str] = set()

    @property
    def items(self) -> list[Item]:
        """In the order in which they were said."""
        return [*self._items.values()]

    def carried(self, found: Found, to: str = "", message: str = "") -> None:
        """It means the same here."""
        self._say(found, Outcome.CARRIED, to=to, message=message)

    def changed(self, found: Found, to: str, message: str, *, whole: bool = False) -> None:
        """It is there in another way, which the message tells. ``whole``: with all that is in it."""
        self._say(found, Outcome.CHANGED, to=to, message=message, whole=whole)

    def lost(self, found: Found, message: str, *, whole: bool = True) -> None:
        """It is not there, with all that is in it; the message says what to do instead."""
        self._say(found, Outcome.LOST, message=message, whole=whole)

    def without_effect(self, found: Found, message: str) -> None:
        """It needs no counterpart, with all that is in it: nothing is lost."""
        self._say(found, Outcome.CARRIED, message=message, whole=True)

    def add(self, to: str, message: str) -> None:
        """A setting is written that the file does not have."""
        self.added.append(Added(to=to, message=message))

    def rest(self, source: Found, message: str, *, sections: Collection[str]) -> None:
        """Whatever nobody has spoken of counts as lost: each at the highest place of which nothing was said.

        ``sections`` are known as such: what is in them is told one by one.
        """
        for found in list(self._unsaid(source, {"", *sections})):
            if is_null(found.node):
                self._say(found, Outcome.CARRIED, message="It is not set.")
            elif not isinstance(found.node, Scalar) and not found.below():
                self._say(found, Outcome.CARRIED, message="It is empty.")
            else:
                self.lost(found, message)

    def _say(self, found: Found, outcome: Outcome, *, to: str = "", message: str = "", whole: bool = False) -> None:
        item = Item(path=found.path, place=found.place, outcome=outcome, to=to, message=message)
        if self._items.setdefault((found.path, to, message), item) is not item:
            return
        self._said.add(found.path)
        if whole:
            self._whole.add(found.path)

    def _unsaid(self, found: Found, sections: Collection[str]) -> Iterator[Found]:
        if found.path in self._whole:
            return
        below = found.below()
        if not below:
            if found.path not in self._said:
                yield found
        elif found.path not in sections and not self._within(found):
            yield found
        else:
            for one in below:
                yield from self._unsaid(one, sections)

    def _within(self, found: Found) -> bool:
        """Whether something was said of it, or of anything in it."""
        return found.path in self._said or any(self._within(one) for one in found.below())
