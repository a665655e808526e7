"""How often one address may try wrong keys."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from llm_service.domain import RateLimited
from llm_service.runtime import Clock

MOST_FAILURES: Final = 10
WINDOW_S: Final = 60.0
KEPT_ADDRESSES: Final = 4096


@dataclass(slots=True)
class _Failures:
    """Of one address, since it began to fail."""

    ends_at: float
    """Monotonic seconds."""
    count: int = 0


class Throttle:
    """``most`` failures of an address in 60 s; then it is refused until they are over, whatever it shows.

    Of IPv6 the first 64 bits are one address: who has one has them all. It remembers so many addresses, and forgets
    the one that began first for another.
    """

    def __init__(self, clock: Clock, *, most: int = MOST_FAILURES, kept: int = KEPT_ADDRESSES) -> None:
        self._clock = clock
        self._most = most
        self._kept = kept
        self._failures: dict[str, _Failures] = {}  # the one that began first stands first

    def check(self, peer: str | None) -> None:
        """Raises RateLimited where the address has failed too often."""
        failures = self._failures.get(_network_of(peer))
        left_s = 0.0 if failures is None else failures.ends_at - self._clock.monotonic()
        if failures is not None and failures.count >= self._most and left_s > 0:
            raise RateLimited("Too many wrong keys came from your address; wait a minute.", retry_after_s=left_s)

    def failed(self, peer: str | None) -> None:
        """The address has shown a wrong key."""
        network, now = _network_of(peer), self._clock.monotonic()
        failures = self._failures.get(network)
        if failures is None or failures.ends_at <= now:
            self._failures.pop(network, None)
            failures = self._failures[network] = _Failures(ends_at=now + WINDOW_S)
        failures.count += 1
        if len(self._failures) > self._kept:
            del self._failures[next(iter(self._failures))]


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
