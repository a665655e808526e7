"""What runs one Lua script on the store, atomically."""

from collections.abc import Sequence
from typing import Any, Protocol


class ScriptRunner(Protocol):
    """Runs scripts on one store. All keys of a script carry the deployment's hash tag, so they live on one primary."""

    @property
    def run_id(self) -> str:
        """Identity of the store's memory: another one after a restart, a failover or a flush.

        Keys that name it are built, and ``run`` is called, without awaiting anything in between: a script that was
        asked for under another identity than the store's is refused before it begins.
        """

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run the script once: its result as integers, bytes, ``None`` and lists of these.

        Raises StoreUnavailable when the store does not answer in time, cannot do its work or has another memory.
        """
