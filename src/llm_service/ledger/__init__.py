"""The usage ledger: every admitted request has one record, written before its answer ends and shipped afterwards."""

from llm_service.ledger.adopt import OnLost
from llm_service.ledger.copies import JournalCopy, journal_copies
from llm_service.ledger.ledger import FOLDER, Ledger, LedgerState
from llm_service.ledger.leftovers import Left, Leftovers
from llm_service.ledger.options import LedgerOptions
from llm_service.ledger.verify import Fault, Verification, verify

__all__ = [
    "FOLDER",
    "Fault",
    "JournalCopy",
    "Ledger",
    "LedgerOptions",
    "LedgerState",
    "Left",
    "Leftovers",
    "OnLost",
    "Verification",
    "journal_copies",
    "verify",
]
