"""Finds the server that holds our keys: the only one, the sentinels' primary, or the owner of our slot."""

import asyncio
import binascii
import re
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol

from llm_service.storage.valkey_address import Endpoint, Login, StoreAddress
from llm_service.storage.valkey_causes import Unfit
from llm_service.storage.valkey_wire import Word, dropped_after, open_wire

_SLOTS: Final = 16384


class Locator(Protocol):
    """Knows where to ask for the server that holds our keys."""

    def candidates(self) -> AsyncGenerator[Endpoint, None]:
        """Servers that may be it, the likeliest first; may ask others. Raises what the last of these said."""


class Single:
    """There is one server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def candidates(self) -> AsyncGenerator[Endpoint, None]:
        yield self._endpoint


class _Asker:
    """Asks all that it knows at once: those that are frozen must not keep the others from answering."""

    def __init__(self, endpoints: Sequence[Endpoint], login: Login, tls: ssl.SSLContext | None) -> None:
        self._endpoints = tuple(endpoints)
        self._login = login
        self._tls = tls

    async def answers(self, *command: Word) -> AsyncGenerator[tuple[Endpoint, Any], None]:
        """Their answers as they come. Raises the last failure when none answered."""
        asked = [asyncio.ensure_future(self._ask(endpoint, *command)) for endpoint in self._endpoints]
        failure: Exception | None = None
        answered = False
        try:
            for next_one in asyncio.as_completed(asked):
                try:
                    answer = await next_one
                except Exception as error:  # noqa: BLE001 - one of several; the last is raised when all failed
                    failure = error
                    continue
                answered = True
                yield answer
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if failure is not None and not answered:
            raise failure

    async def _ask(self, endpoint: Endpoint, *command: Word) -> tuple[Endpoint, Any]:
        return endpoint, await dropped_after(await open_wire(endpoint, self._login, tls=self._tls), *command)


class Sentinels:
    """The primary that sentinels name; whoever connects to it checks that it thinks so itself."""

    def __init__(self, asker: _Asker, service: str) -> None:
        self._asker = asker
        self._service = service

    async def candidates(self) -> AsyncGenerator[Endpoint, None]:
        named: set[Endpoint] = set()
        async with aclosing(self._asker.answers("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)) as answers:
            async for _, answer in answers:
                endpoint = Endpoint(host=answer[0].decode(), port=int(answer[1])) if answer else None
                if endpoint is not None and endpoint not in named:
                    named.add(endpoint)
                    yield endpoint
        if not named:
            raise Unfit("the sentinels do not know the service that the address names")


class Cluster:
    """The owner of one slot, from whichever nodes answer; nodes that are heard of are asked as well from then on."""

    def __init__(self, nodes: Sequence[Endpoint], login: Login, *, tls: ssl.SSLContext | None, slot: int) -> None:
        self._seeds = tuple(nodes)
        self._known = self._seeds
        self._login = login
        self._tls = tls
        self._slot = slot

    async def candidates(self) -> AsyncGenerator[Endpoint, None]:
        owners: set[Endpoint] = set()
        asker = _Asker(self._known, self._login, self._tls)
        async with aclosing(asker.answers("CLUSTER", "SLOTS")) as answers:
            async for node, answer in answers:
                owner = self._owner(answer, node)
                if owner is not None and owner not in owners:
                    owners.add(owner)
                    yield owner
        if not owners:
            raise Unfit("no node of the cluster has our slot")

    def _owner(self, ranges: Sequence[Any], asked: Endpoint) -> Endpoint | None:
        owner: Endpoint | None = None
        for first, last, *members in ranges:
            nodes = tuple(_member(member, asked) for member in members)
            self._learn(nodes)
            if first <= self._slot <= last:
                owner = nodes[0]
        return owner

    def _learn(self, nodes: Sequence[Endpoint]) -> None:
        """Keeps the seeds: their names outlive the nodes' addresses."""
        self._known = tuple(dict.fromkeys((*self._seeds, *self._known, *nodes)))[: len(self._seeds) + 16]


def slot_of(key: str) -> int:
    """The slot of a key in a cluster (Valkey, cluster specification: CRC16 of the hash tag)."""
    tagged = re.match(r"[^{]*\{([^}]+)\}", key)
    return binascii.crc_hqx((tagged[1] if tagged else key).encode(), 0) % _SLOTS


def locator_of(address: StoreAddress, *, key: str, tls: ssl.SSLContext | None) -> Locator:
    """How to find the server that holds a key."""
    if address.topology == "sentinel":
        return Sentinels(_Asker(address.endpoints, address.sentinel_login, tls), address.service)
    if address.topology == "cluster":
        return Cluster(address.endpoints, address.login, tls=tls, slot=slot_of(key))
    return Single(address.endpoints[0])


def _member(member: Sequence[Any], asked: Endpoint) -> Endpoint:
    """A node without a known address is the one that was asked (CLUSTER SLOTS, reply)."""
    host, port = member[0], int(member[1])
    return Endpoint(host=host.decode() if host and host != b"?" else asked.host, port=port)
