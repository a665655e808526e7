"""What goes wrong with a Valkey or Redis server, in words for /health: no address, no secret."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

OTHER_MEMORY: Final = "LIFE"
"""The error code by which a guarded script says that the store's memory is not the one that it was asked for."""

_BY_CODE: Final[Mapping[str, str]] = {
    "ASK": "the cluster is moving our slot to another node",
    "BUSY": "the store is busy with a script that does not end",
    "CLUSTERDOWN": "the cluster is down",
    "LOADING": "the store is loading its data",
    "MASTERDOWN": "the store is a replica that has lost its primary",
    "MISCONF": "the store cannot write to its disk and takes no writes",
    "MOVED": "our slot has moved to another node of the cluster",
    "NOAUTH": "the store wants a password, and the address has none",
    "NOPERM": "the store's user may not do what is needed",
    "NOREPLICAS": "the store has too few replicas and takes no writes",
    "OOM": "the store is full (maxmemory)",
    "READONLY": "the store is a replica and takes no writes",
    "TRYAGAIN": "the cluster is moving our slot to another node",
    "UNKILLABLE": "the store is busy with a script that does not end",
    "WRONGPASS": "the store refuses the user name or password",
    OTHER_MEMORY: "the store's memory is another one than before (restart, failover or flush)",
}
_BY_CLASS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLCertVerificationError, "the store's certificate is not accepted"),
    (ssl.SSLError, "the store does not speak TLS as it should"),
    (socket.gaierror, "the store's name cannot be resolved"),
    (ConnectionRefusedError, "the store refuses connections"),
    (FileNotFoundError, "the store's socket or a file of its TLS options is not there"),
    (PermissionError, "the store's socket or a file of its TLS options may not be opened"),
    (ConnectionError, "the store closed the connection"),
    (TimeoutError, "the store did not answer in time"),
    (OSError, "the store cannot be reached"),
)


class Unfit(Exception):
    """Who answered is not the server that we need; the message says why, in words."""


def code_of(error: BaseException) -> str:
    """The code of an error reply (``OOM``, ``READONLY``), or nothing when it is none."""
    known = getattr(error, "status_code", None)
    if isinstance(known, str):
        return known
    first = str(error).partition(" ")[0]
    return first if first.isupper() and type(error).__module__.startswith("redis.") else ""


def words_of(code: str) -> str:
    """What an error reply's code means."""
    return _BY_CODE[code]


def cause_of(error: BaseException) -> str:
    """Why the store cannot do its work, in words."""
    if isinstance(error, Unfit):
        return str(error)
    if words := _BY_CODE.get(code_of(error)):
        return words
    if "max number of clients" in str(error):
        return "the store has as many clients as it takes (maxclients)"
    if "AuthenticationError" in _classes(error):
        return _BY_CODE["WRONGPASS"]
    chain = tuple(_chain(error))
    for kind, words in _BY_CLASS:
        if any(isinstance(link, kind) for link in chain):
            return words
    if "ConnectionError" in _classes(error):
        return "the store closed the connection"
    return f"the store does not do as asked ({code_of(error) or type(error).__name__})"


def is_from_store(error: BaseException) -> bool:
    """Whether the error came of talking to the store, and not of a mistake in our own code."""
    kinds = _classes(error)
    return isinstance(error, OSError | TimeoutError | Unfit) or (bool(kinds) and "DataError" not in kinds)


def is_outage(error: BaseException) -> bool:
    """Whether the store itself is unwell: an error reply without a known code is about this script alone."""
    return "ResponseError" not in _classes(error) or code_of(error) in _BY_CODE


def _classes(error: BaseException) -> frozenset[str]:
    """By name: redis-py is imported where it is used, and only there."""
    return frozenset(kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("redis."))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it: redis-py hides the system's own error behind one of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
