"""Settings on their way from the supervisor to its workers, so that all of them get the very same.

They travel between a process and those that it started, by a socket that nobody else has.
"""

import base64
import io
import pickle
from types import MappingProxyType
from typing import Any

from llm_service.domain import Secret
from llm_service.supervisor.edition import Edition


def packed(edition: Edition) -> str:
    """The edition, secrets included, as text without line ends."""
    out = io.BytesIO()
    _Packer(out, protocol=pickle.HIGHEST_PROTOCOL).dump(edition)
    return base64.b64encode(out.getvalue()).decode("ascii")


def unpacked(text: str) -> Edition:
    """What ``packed`` gave, and nothing that comes from elsewhere."""
    edition = pickle.loads(base64.b64decode(text))  # noqa: S301 - our own supervisor's
    if not isinstance(edition, Edition):
        raise TypeError(f"not an edition of the settings: {type(edition).__name__}")
    return edition


class _Packer(pickle.Pickler):
    """Takes along what pickling leaves out otherwise: secrets, on purpose, and read-only maps."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Secret):
            return Secret, (value.reveal(),)
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(items)  # whose own name pickle cannot find
