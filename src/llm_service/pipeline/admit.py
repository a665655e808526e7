"""Stage: one decision over all limits; what it leaves closes the one record and settles the lease."""

from llm_service.domain import Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.closing import Accounts, Closing


class Admit:
    """Fills ``exchange.admitted``. From here on the request is accepted: it will have exactly one record."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Refuse with the limit that has no room, or go on with a lease."""
        exchange.admitted = await self._accounts.admission.admit(
            exchange.request,
            lease_id=exchange.id,
            caller=exchange.caller,
            user=exchange.user,
            candidates=exchange.candidates,
        )
        closing = Closing(exchange, self._accounts)
        exchange.watchers.append(closing)
        closing.reply = reply = await proceed(exchange)
        return reply
