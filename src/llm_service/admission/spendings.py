"""Money that the shared store may forget before the ledger has it, remembered here until neither can happen."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from llm_service.admission.arrears import Arrears
from llm_service.domain import Limit
from llm_service.storage import LimitStore

WhenShipped = Callable[[str, Callable[[int], None]], None]
"""Call back with a record's mark in the ledger as soon as it is there."""
NONE: Final = ""
"""No life that a store ever has."""


class Spending:
    """Money of a lease that is over. ``life``: the store's, in which it was settled. ``mark``: of its ledger record.

    Both are ``None`` until they are known.
    """

    __slots__ = ("life", "limits", "mark", "nano_usd")

    def __init__(self, limits: Sequence[Limit], nano_usd: int) -> None:
        self.limits = limits
        self.nano_usd = nano_usd
        self.life: str | None = None
        self.mark: int | None = None


class Witness(NamedTuple):
    """The store's life at a moment, and of how many spendings it was not sure then."""

    life: str
    unsure: int


class Spendings:
    """What this process has settled of budgets.

    A store that has lost its memory is seeded from the ledger, perhaps by another process and before the ledger has
    the last records of this one. So a spending is remembered until the ledger has its record and the store has
    answered once more in the life in which it was settled. When it answers in another one, the spending is added,
    which the store does not do where the seed had it.
    """

    def __init__(self, store: LimitStore, *, arrears: Arrears, when_shipped: WhenShipped) -> None:
        self._store = store
        self._arrears = arrears
        self._when_shipped = when_shipped
        self._unsure: deque[Spending] = deque()

    def begin(self, lease_id: str, limits: Sequence[Limit], nano_usd: int) -> Spending:
        """Call when the record is written, whatever the store says: the ledger tells marks of recent records alone."""
        spending = Spending(limits, nano_usd)
        self._when_shipped(lease_id, partial(self._shipped, spending))
        return spending

    def settled(self, spending: Spending, *, life: str) -> None:
        """It was settled in this life of the store; NONE: in none, for the store has no lease for it."""
        spending.life = life
        self._weigh(spending)

    def witness(self) -> Witness:
        """What to hand to `witnessed` when the store has answered a call that is made after this one."""
        return Witness(self._store.life, len(self._unsure))

    def witnessed(self, witness: Witness) -> None:
        """The store has answered in that life: later ones are seeded with all this. What is of earlier ones, add."""
        for _ in range(witness.unsure):
            spending = self._unsure.popleft()
            if spending.life != witness.life:
                self._add(spending)

    def _shipped(self, spending: Spending, mark: int) -> None:
        spending.mark = mark
        self._weigh(spending)

    def _weigh(self, spending: Spending) -> None:
        """Once all is known. The store may have forgotten it already, without our having noticed yet."""
        if spending.life is None or spending.mark is None:
            return
        if spending.life == self._store.life:
            self._unsure.append(spending)
        else:
            self._add(spending)

    def _add(self, spending: Spending) -> None:
        if spending.mark is not None:
            self._arrears.add(self._store, spending.limits, cost=spending.nano_usd, mark=spending.mark)
