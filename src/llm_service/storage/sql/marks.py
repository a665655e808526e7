"""The mark of the newest record, which whoever changes the ledger takes first."""

from typing import Final

LOCK_LEDGER: Final = "UPDATE marks SET newest = newest WHERE name = 'ledger' RETURNING newest"
"""Others wait from here until the transaction has ended; what it brings is the mark."""
