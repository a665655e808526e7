"""What the stores need of Valkey: to run a script, and to know whose memory it runs on. And its scripts."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol


class ScriptRunner(Protocol):
    """Runs Lua scripts on Valkey or Redis, single, sentinel or cluster."""

    @property
    def run_id(self) -> str:
        """Which memory answers: another one after a restart or a failover.

        It is asked for anew on every new connection, before a script runs on it; a script whose keys were named after
        an older memory is refused with StoreUnavailable.
        """

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        """What a script (its Lua source) answers: integers, bytes, lists of these.

        Raises StoreUnavailable when the answer does not come in time; the script may have run then.
        """


def script(*names: str) -> str:
    """The source of a script, of pieces from the folder ``lua``, in their order."""
    folder = files(__package__ or "") / "lua"
    return "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
