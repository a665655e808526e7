"""Tests reach loopback and nothing else: an audit hook refuses every other connection and name look-up."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest
import uvloop

_LOOK_UPS = frozenset(("socket.getaddrinfo", "socket.gethostbyname"))
_OUTWARD = _LOOK_UPS | {"socket.connect", "socket.sendto"}
_LOCAL_NAMES = frozenset(("", "localhost", "ip6-localhost"))


class NetworkRefused(RuntimeError):
    """A test tried to leave this machine."""


@dataclass(slots=True)
class Guard:
    """Refuses while it is closed, and remembers what it refused: a swallowed refusal fails the test all the same.

    ``own``: a network that a test has made itself, while it is where no way leads out of that.
    """

    closed: bool = False
    own: IPv4Network | None = None
    refused: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.closed or event not in _OUTWARD:
            return
        host = arguments[0] if event in _LOOK_UPS else host_of(arguments[1])
        if not is_local(host) and not is_within(self.own, host):
            self.refused.append(f"{event} {host!r}")
            raise NetworkRefused(f"A test may reach loopback only, not {host!r}.")


class Loop(uvloop.Loop):
    """The event loop of the service, which connects beside the socket module: it tells audit hooks as that would."""

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        _tell_look_up(host, port)
        return await super().getaddrinfo(host, port, **how)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **how: Any) -> Any:
        _tell_look_up(host, port)
        return await super().create_connection(factory, host, port, **how)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        sys.audit("socket.connect", sock, address)
        await super().sock_connect(sock, address)


def _tell_look_up(host: Any, port: Any) -> None:
    if isinstance(host, str):
        host.encode("idna")  # what can be no name fails before anybody is told
    sys.audit("socket.getaddrinfo", host, port)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the service runs on: where asyncio promises nothing, the two differ."""
    return {"uvloop": Loop}


def host_of(address: object) -> object:
    """The host of a socket address; a Unix socket's path has none."""
    return address[0] if isinstance(address, tuple) else None


def is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("idna")
    if host is None or str(host).lower() in _LOCAL_NAMES:
        return True
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def is_within(network: IPv4Network | None, host: object) -> bool:
    """Whether the host is an address of the network."""
    try:
        return network is not None and ip_address(str(host)) in network
    except ValueError:
        return False


@pytest.fixture(scope="session")
def network_guard() -> Guard:
    """One for the process: an audit hook cannot be taken away again, so it is opened and closed instead."""
    guard = Guard()
    sys.addaudithook(guard)
    return guard


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, network_guard: Guard) -> Iterator[None]:
    network_guard.closed = request.node.get_closest_marker("live") is None
    network_guard.refused.clear()
    yield
    network_guard.closed = False
    if network_guard.refused:
        pytest.fail(f"tried to leave this machine: {', '.join(network_guard.refused)}", pytrace=False)
