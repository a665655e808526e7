"""How often one address may show a key that nobody has."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from llm_service.domain import RateLimited
from llm_service.observability import Log

PER_MINUTE: Final = 30
MINUTE_S: Final = 60.0
KEPT_ADDRESSES: Final = 4096
_SAID: Final = "Too many wrong keys came from your address; wait, and send the right one."


@dataclass(slots=True)
class _Tries:
    """Of one address."""

    all_back_at: float
    """When it may be wrong as often as at first (monotonic seconds)."""
    told_at: float = float("-inf")


class WrongKeys:
    """An address may be wrong ``per_minute`` times at once, and as often in each minute after that.

    Beyond that, every further wrong key is refused, and whatever could be guessed is not even looked at; keys that
    nobody can guess go on from the same address (several clients may have one). Of IPv6 the first 64 bits are one
    address: who has one has them all. At most ``kept`` addresses are remembered, those that were wrong last. Of this
    process alone.
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
        """Raises RateLimited where the address has been wrong too often."""
        if not self._tries:
            return
        tries = self._tries.get(_network_of(peer))
        if tries is not None and (wait_s := self._wait_s(tries)) > 0:
            raise RateLimited(_SAID, retry_after_s=wait_s)

    def count(self, peer: str | None) -> None:
        """The address has shown a wrong key. Raises RateLimited where that was one too many; it is not counted then."""
        network, now = _network_of(peer), self._now()
        tries = self._tries.pop(network, None) or _Tries(now)
        self._tries[network] = tries
        if len(self._tries) > self._kept:
            del self._tries[next(iter(self._tries))]
        if (wait_s := self._wait_s(tries)) > 0:
            self._tell(network, tries, now)
            raise RateLimited(_SAID, retry_after_s=wait_s)
        tries.all_back_at = max(tries.all_back_at, now) + self._apart_s

    def _wait_s(self, tries: _Tries) -> float:
        """Until it may be wrong once more."""
        return tries.all_back_at - self._now() - (self._most - 1) * self._apart_s

    def _tell(self, network: str, tries: _Tries, now: float) -> None:
        if now - tries.told_at >= MINUTE_S:
            tries.told_at = now
            self._log.warning("too many wrong keys", address=network)


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
