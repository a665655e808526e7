"""Stage: one decision over all limits; what it leaves closes the one record and settles the lease."""

from collections.abc import Awaitable

from llm_service.admission import FREE, Admitted
from llm_service.domain import Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.closing import Accounts, Closing


class Admit:
    """Fills ``exchange.admitted``. From here on the request is accepted: it will have exactly one record."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Refuse with the limit that has no room, or go on with a lease.

        Where an answer is there already, or on its way, the request takes no more than its place, so that no limit of
        tokens, of money or of a provider refuses what costs nothing.
        """
        if exchange.is_expected:
            exchange.admitted = await self._accounts.admission.admit_free(
                exchange.sent,
                lease_id=exchange.id,
                caller=exchange.caller,
                user=exchange.user,
                inner=exchange.is_inner,
            )
            exchange.admit_in_full = self._admit_in_full
        else:
            exchange.admitted = await self._admitted(exchange)
        closing = Closing(exchange, self._accounts)
        exchange.watchers.append(closing)
        closing.reply = reply = await proceed(exchange)
        if not exchange.tries:  # what was there already costs nothing, however much of it is read
            closing.looks = False
        return reply

    async def _admit_in_full(self, exchange: Exchange) -> None:
        """The expected answer cannot be had: what an upstream call takes is claimed after all."""
        exchange.admit_in_full = None
        free, exchange.admitted = exchange.admitted, FREE
        if free.held is not None:
            await self._accounts.admission.settle(free, None)
        exchange.admitted = await self._admitted(exchange)

    def _admitted(self, exchange: Exchange) -> Awaitable[Admitted]:
        route, order = exchange.route, exchange.order
        return self._accounts.admission.admit(
            exchange.sent,
            lease_id=exchange.id,
            caller=exchange.caller,
            user=exchange.user,
            candidates=route.first if order is route.plain else [route.candidates[place] for place in order],
            later=route.later,
            inner=exchange.is_inner,
        )
