"""Several processes' figures in one test process."""

from llm_service.observability import Arena


class NamedLocks:
    """Places and who holds them; ``who`` acts now."""

    def __init__(self) -> None:
        self.holders: dict[int, str] = {}
        self.who = "reader"

    def take(self, place: int) -> bool:
        return self.holders.setdefault(place, self.who) == self.who

    def let_go(self, place: int) -> None:
        if self.holders.get(place) == self.who:
            del self.holders[place]

    def held(self, place: int) -> bool:
        return self.holders.get(place, self.who) != self.who

    def ended(self, who: str) -> None:
        """A process has ended: the system lets its places go."""
        self.holders = {place: holder for place, holder in self.holders.items() if holder != who}


def arena_of(slots: int) -> tuple[Arena, NamedLocks]:
    locks = NamedLocks()
    return Arena(slots, locks), locks
