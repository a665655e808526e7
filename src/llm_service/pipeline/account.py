"""Stage: the journal learns of an upstream call before it is made."""

from llm_service.pipeline.base import Exchange, Passing, Proceed
from llm_service.pipeline.closing import Accounts, intent_of


class Account(Passing):
    """Writes the intent, so that a request whose process dies is not forgotten."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def passes(self, exchange: Exchange, proceed: Proceed) -> None:
        """Raises LedgerUnavailable where the intent cannot be kept: nothing is begun then."""
        self._accounts.ledger.open(intent_of(exchange))
