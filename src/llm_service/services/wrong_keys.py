"""How often one address may show a key that nobody has."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from llm_service.domain import InvalidApiKey
from llm_service.observability import Log

PER_MINUTE: Final = 30
MINUTE_S: Final = 60.0
KEPT_ADDRESSES: Final = 4096
LEAST_CHARS: Final = 32
LEAST_DIFFERENT: Final = 10


@dataclass(slots=True)
class _Tries:
    """Of one address."""

    all_back_at: float
    """When it may be wrong as often as at first (monotonic seconds)."""
    told_at: float = float("-inf")


class WrongKeys:
    """An address may be wrong ``per_minute`` times at once, and as often in each minute after that.

    Beyond that whatever could be guessed is refused from there without a look, right or wrong; keys that nobody can
    guess go on from the same address (several clients may have one). A wrong key gets the same status before and
    after. Of IPv6 the first 64 bits are one address: who has one has them all. At most ``kept`` addresses are
    remembered, those that were wrong last. Of this process alone.
    """

    def __init__(
        self, now: Callable[[], float], log: Log, *, per_minute: int = PER_MINUTE, kept: int = KEPT_ADDRESSES
    ) -> None:
        """``now``: monotonic seconds."""
        self._now = now
        self._log = log
        self._most = per_minute
        self._apart_s = MINUTE_S / per_minute
        self._kept = kept
        self._tries: dict[str, _Tries] = {}  # who was wrong last stands last

    def check(self, peer: str | None) -> None:
        """Raises InvalidApiKey, with a time to wait, where the address has been wrong too often."""
        if not self._tries:
            return
        tries = self._tries.get(_network_of(peer))
        if tries is not None and (wait_s := self._wait_s(tries)) > 0:
            raise _too_many(wait_s)

    def count(self, peer: str | None) -> None:
        """The address has shown a wrong key. Raises as ``check`` where it was one too many; it is not counted then."""
        network, now = _network_of(peer), self._now()
        tries = self._tries.pop(network, None) or _Tries(now)
        self._tries[network] = tries
        if len(self._tries) > self._kept:
            del self._tries[next(iter(self._tries))]
        if (wait_s := self._wait_s(tries)) > 0:
            self._tell(network, tries, now)
            raise _too_many(wait_s)
        tries.all_back_at = max(tries.all_back_at, now) + self._apart_s

    def _wait_s(self, tries: _Tries) -> float:
        """Until it may be wrong once more."""
        return tries.all_back_at - self._now() - (self._most - 1) * self._apart_s

    def _tell(self, network: str, tries: _Tries, now: float) -> None:
        if now - tries.told_at >= MINUTE_S:
            tries.told_at = now
            self._log.warning("too many wrong keys", address=network)


def is_guessable(key: str) -> bool:
    """Whether a key, by the look of it, could be hit by somebody who may try for long: it is short, or monotonous."""
    return len(key) < LEAST_CHARS or len(set(key)) < LEAST_DIFFERENT


def _too_many(wait_s: float) -> InvalidApiKey:
    said = f"Too many wrong keys came from your address: none like this one is looked at for another {ceil(wait_s)} s."
    return InvalidApiKey(said, retry_after_s=wait_s)


def _network_of(peer: str | None) -> str:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]
