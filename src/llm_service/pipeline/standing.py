"""Whether what is on its way may still be shared, or a purge has concerned it since it began."""

from llm_service.storage import CacheStore, Flight
from llm_service.streams import Generation


class Standing:
    """Asks the cache, which knows of purges in all processes."""

    def __init__(self, store: CacheStore) -> None:
        self._store = store

    async def of(self, digest: bytes, begun: Generation | Flight) -> bool:
        """Whether nobody has purged, since it began, what is to be the answer of this digest."""
        stands = not begun.epochs or self._store.stands(digest, begun.groups, begun.epochs)
        return stands if isinstance(stands, bool) else await stands
