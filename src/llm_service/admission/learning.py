"""What was spent of a budget, asked of the ledger once at a time for all who want to know."""

import asyncio

from llm_service.domain import Limit
from llm_service.storage import Spent


class Learning:
    """The same as ``spent``, but who asks while another one does gets that one's answer, or its failure.

    When a budget begins, all requests meet it at once, and a database has few connections for them.
    """

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._asked: dict[str, asyncio.Future[tuple[int, int]]] = {}

    async def __call__(self, limit: Limit) -> tuple[int, int]:
        """Nano-USD, and up to which mark of the ledger. Raises StoreUnavailable."""
        while (asked := self._asked.get(limit.key)) is not None:
            await asyncio.wait((asked,))
            if not asked.cancelled():
                return asked.result()
        asked = self._asked[limit.key] = asyncio.get_running_loop().create_future()
        try:
            answer = await self._spent(limit)
        except Exception as failure:
            asked.set_exception(failure)
            asked.exception()  # seen, even if nobody else waits
            raise
        else:
            asked.set_result(answer)
            return answer
        finally:
            asked.cancel()  # unless it is over: who asked has gone, and the next one asks
            del self._asked[limit.key]
