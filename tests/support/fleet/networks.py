"""Networks of this machine's own, in namespaces of the kernel: hosts, the cables between them, and what pulls these.

The process that builds a `Rack` moves into a namespace in which there is nothing but the rack's bridges: no way leads
out of it. Hosts are further namespaces, each with one cable to each of its networks. A pulled cable loses every packet
without a word, as a switch that has lost its power does.
"""

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

ALL: Final = IPv4Network("10.77.0.0/16")
FRONT, BACK, OUT = "front", "back", "out"
"""Towards callers, towards the stores, towards the providers."""
NETWORKS: Final[Mapping[str, int]] = {FRONT: 1, BACK: 2, OUT: 3}
_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET
_OF_THIS_THREAD: Final = Path("/proc/thread-self/ns/net")


class CannotBuild(Exception):
    """There can be no such networks here; the message is the reason to skip for."""


def address(network: str, number: int) -> str:
    """Of a host; the rack itself is number 1 everywhere."""
    return f"10.77.{NETWORKS[network]}.{number}"


@dataclass
class Host:
    """A namespace with its cables. Closed by its rack."""

    name: str
    number: int
    namespace: int
    """A descriptor that keeps it."""
    cables: Sequence[str]
    pulled: set[str] = field(default_factory=set)

    @property
    def path(self) -> str:
        """How other programs call the namespace."""
        return f"/proc/{os.getpid()}/fd/{self.namespace}"

    def address(self, network: str) -> str:
        return address(network, self.number)

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command, run by a process on this host; the process is the command's own."""
        return ("nsenter", f"--net={self.path}", "--", *command)

    def pull(self, *networks: str) -> None:
        """Nothing comes through any more, and nobody is told."""
        for network in networks or self.cables:
            _ip("link", "set", self.port(network), "nomaster")
            self.pulled.add(network)

    def plug(self) -> None:
        """All cables are in again."""
        for network in tuple(self.pulled):
            _ip("link", "set", self.port(network), "master", network)
            self.pulled.discard(network)

    def set(self, name: str, value: str) -> None:
        """A setting of the kernel for this host alone."""
        _run(*self.inside("sysctl", "-q", "-w", f"{name}={value}"))

    def port(self, network: str) -> str:
        """What its cable is called at the bridge."""
        return f"{network[0]}{self.number}"


@dataclass
class Rack:
    """The networks and their hosts."""

    hosts: dict[str, Host] = field(default_factory=dict)

    def add(self, name: str, number: int, *networks: str) -> Host:
        """A host with a cable to each of these networks."""
        host = Host(name, number, _namespace(), networks or tuple(NETWORKS))
        self.hosts[name] = host
        _run(*host.inside("ip", "link", "set", "lo", "up"))
        for network in host.cables:
            end = host.port(network)
            _ip("link", "add", end, "type", "veth", "peer", "name", network, "netns", host.path)
            _ip("link", "set", end, "master", network, "up")
            _run(*host.inside("ip", "address", "add", f"{host.address(network)}/24", "dev", network))
            _run(*host.inside("ip", "link", "set", network, "up"))
        return host

    def close(self) -> None:
        for host in self.hosts.values():
            os.close(host.namespace)
        self.hosts.clear()


@contextmanager
def rack() -> Iterator[Rack]:
    """Moves the thread, and all that it starts, into networks of its own until the block ends. Raises CannotBuild."""
    _check()
    before = os.open(_OF_THIS_THREAD, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare()
        made = Rack()
        try:
            _ip("link", "set", "lo", "up")
            for network, third in NETWORKS.items():
                # With an address of the bridge's own: else it has a port's, and takes what comes in by a pulled cable.
                mac = f"02:77:00:00:00:{third:02x}"
                _ip("link", "add", network, "address", mac, "type", "bridge", "forward_delay", "0")
                _ip("address", "add", f"{address(network, 1)}/24", "dev", network)
                _ip("link", "set", network, "up")
            yield made
        finally:
            made.close()
            _enter(before)
    finally:
        os.close(before)


def _check() -> None:
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise CannotBuild("networks of its own are made by root on Linux alone")
    if missing := [name for name in ("ip", "nsenter", "sysctl") if shutil.which(name) is None]:
        raise CannotBuild(f"networks of its own take programs that are not installed: {', '.join(missing)}")
    tried = subprocess.run(
        ("unshare", "--net", "ip", "link", "add", "tried", "type", "bridge"), capture_output=True, check=False
    )
    if tried.returncode:
        raise CannotBuild("networks of its own take namespaces and bridges, which this kernel does not give")


def _namespace() -> int:
    """A new namespace, kept by the descriptor alone: made in a thread, so that this one stays where it is."""
    made: list[int] = []

    def make() -> None:
        _unshare()
        made.append(os.open(_OF_THIS_THREAD, os.O_RDONLY))

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    return made[0]


def _unshare() -> None:
    _called("unshare", _NEW_NETWORK)


def _enter(namespace: int) -> None:
    _called("setns", namespace, _NEW_NETWORK)


def _called(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
