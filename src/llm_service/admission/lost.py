"""What the requests of dead processes held and used, told to the limit store by whoever adopts their journal."""

from llm_service.domain import Intent, Limit, Settlement
from llm_service.storage import LimitStore


class Lost:
    """Settles leases of dead holders. Every step is idempotent, and raises StoreUnavailable."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store

    async def settled(
        self, *, holder: str, request_id: str, settlement: Settlement, intent: Intent | None, mark: int
    ) -> None:
        """Settle the request's lease; money of one that stood in another memory than the store's is added by its mark.

        A lease of this very memory that is not known has been settled by its holder: that is counted. One that is known
        although the request went by another memory was granted unheard, and is given back: so that all of this may
        happen again.
        """
        store = self._store
        if intent is None or intent.life == store.life:
            await store.settle_lost(holder, request_id, settlement)
            return
        await store.settle_lost(holder, request_id, None)
        for key in intent.budgets if settlement.nano_usd else ():
            await store.add(budget_named(key), cost=settlement.nano_usd, mark=mark)

    async def told_all(self, *, holder: str) -> None:
        """What the holder still has was granted for requests that no upstream was called for."""
        await self._store.release(holder)


def budget_named(key: str) -> Limit:
    """A budget as far as its counter needs it: whose it is, and not how much."""
    return Limit(key=key, scope="global", subject="", kind="money", amount=0)
