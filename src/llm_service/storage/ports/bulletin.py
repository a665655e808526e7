"""Port to messages between processes."""

from collections.abc import Callable
from typing import Protocol


class Bulletin(Protocol):
    """Short messages to every process that shares the store; at most once, so each reader also has a slower way."""

    async def publish(self, topic: str, text: str) -> None:
        """Tell all, this process included."""

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        """Call back with every message on a topic from now on, reconnecting as needed."""

    async def aclose(self) -> None:
        """Hear no more."""
