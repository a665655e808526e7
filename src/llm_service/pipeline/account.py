"""Stage: the journal learns of an upstream call before it is made."""

from collections.abc import Awaitable

from llm_service.domain import Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.closing import Accounts, intent_of


class Account:
    """Writes the intent, so that a request whose process dies is not forgotten."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """Raises LedgerUnavailable where the intent cannot be kept: nothing is begun then."""
        self._accounts.ledger.open(intent_of(exchange))
        return proceed(exchange)
