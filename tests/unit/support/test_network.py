"""The guard lets tests reach loopback and nothing else, and remembers who tried."""

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest

from tests.support.network import Guard, NetworkRefused, is_local


@pytest.fixture
def tried(network_guard: Guard) -> Iterator[list[str]]:
    """What was refused; emptied afterwards, so that these tests pass."""
    yield network_guard.refused
    network_guard.refused.clear()


@pytest.mark.parametrize(
    "host", [None, "", "localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", b"localhost"]
)
def test_loopback_is_local(host: object) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "::ffff:192.0.2.1", "fe80::1%eth0", b"example.com"])
def test_everything_else_is_not(host: object) -> None:
    assert not is_local(host)


def test_a_network_of_a_test_s_own_is_reached_and_no_other(network_guard: Guard, tried: list[str]) -> None:
    network_guard.own = IPv4Network("10.77.0.0/16")
    try:
        network_guard("socket.connect", (None, ("10.77.1.2", 8080)))
        with pytest.raises(NetworkRefused):
            network_guard("socket.connect", (None, ("10.78.1.2", 8080)))
        with pytest.raises(NetworkRefused):
            network_guard("socket.connect", (None, ("example.com", 8080)))
    finally:
        network_guard.own = None
    assert len(tried) == 2


def test_a_connection_to_another_machine_is_refused(tried: list[str]) -> None:
    with socket.socket() as connection, pytest.raises(NetworkRefused):
        connection.connect(("192.0.2.1", 80))
    assert tried == ["socket.connect '192.0.2.1'"]


def test_a_name_is_not_looked_up(tried: list[str]) -> None:
    with pytest.raises(NetworkRefused):
        socket.getaddrinfo("example.com", 443)
    assert tried == ["socket.getaddrinfo 'example.com'"]


async def test_an_event_loop_is_refused_as_well(tried: list[str]) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(NetworkRefused):
        await asyncio.open_connection("example.com", 443)
    with pytest.raises(NetworkRefused):
        await loop.getaddrinfo("example.com", 443)
    with socket.socket() as connection, pytest.raises(NetworkRefused):
        await loop.sock_connect(connection, ("192.0.2.1", 80))
    assert len(tried) == 3


def test_loopback_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        assert connection.getpeername() == server.getsockname()
