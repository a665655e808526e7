"""What becomes of a call of the control plane where the database does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from llm_service.domain import LedgerUnavailable
from llm_service.storage import StoreUnavailable


@contextmanager
def database_needed(said: str) -> Iterator[None]:
    """Raises LedgerUnavailable, with what is said, where the database does not answer within the block."""
    try:
        yield
    except StoreUnavailable as away:
        raise LedgerUnavailable(said, retry_after_s=1.0) from away
