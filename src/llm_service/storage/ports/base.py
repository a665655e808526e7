"""What all stores have in common: for whom their state holds, and how they fail."""

from typing import Literal

Reach = Literal["process", "machine", "cluster"]
"""For whom a store's state holds."""


class StoreUnavailable(Exception):
    """A store did not answer in time, or cannot do its work now. The message holds no secret and no address."""
