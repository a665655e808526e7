"""The faults of a provider: how each begins and ends, and what clients may see of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.support.chaos.house import MOUNTS, House
from tests.support.chaos.line import Trouble

Happening = Callable[[House], AbstractAsyncContextManager[None]]
FLAPS_S: Final = 0.7
STOLEN_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``happening``: a context in which it is so."""

    happening: Happening
    after_content: bool = False
    """Streams break after their first content, which nobody can hide: each such one ends with an error event."""
    tls: bool = False
    """The first provider speaks TLS."""
    variant: bool = False
    """Of another one: for the full suite."""


def behaving(behaviour: str) -> Happening:
    """The first provider answers so."""

    @asynccontextmanager
    async def happening(house: House) -> AsyncIterator[None]:
        await house.behave("first", behaviour)
        yield
        await house.behave("first", None)

    return happening


@asynccontextmanager
async def down(house: House) -> AsyncIterator[None]:
    """Nobody listens, and whoever was connected is reset."""
    line = house.lines["first"]
    await line.refuse()
    yield
    await line.mend()


@asynccontextmanager
async def flapping(house: House) -> AsyncIterator[None]:
    """Up and down, and up again."""

    async def flap() -> None:
        while True:
            await house.behave("first", "error-503")
            await asyncio.sleep(FLAPS_S)
            await house.behave("first", None)
            await asyncio.sleep(FLAPS_S)

    flaps = asyncio.create_task(flap())
    yield
    flaps.cancel()
    await asyncio.gather(flaps, return_exceptions=True)
    await house.behave("first", None)


def swallowing(*, syn: bool) -> Happening:
    """Packets vanish: on connections that are there, and of those that are made."""

    @asynccontextmanager
    async def happening(house: House) -> AsyncIterator[None]:
        line = house.lines["first"]
        await line.swallow(syn=syn)
        yield
        await line.mend()

    return happening


def troubled(trouble: Trouble) -> Happening:
    """The network does this to the answers of the first provider."""

    @asynccontextmanager
    async def happening(house: House) -> AsyncIterator[None]:
        line = house.lines["first"]
        line.trouble = trouble
        yield
        await line.mend()
        line.cut()  # or what was slow goes on to be

    return happening


@asynccontextmanager
async def unresolvable(house: House) -> AsyncIterator[None]:
    """The first provider's name stands in no DNS."""
    there = house.settings["providers"]["first"]["base_url"]
    await house.move("first", f"http://name.invalid:{house.lines['first'].port}{MOUNTS['first']}")
    yield
    await house.move("first", there)


def certified(name: str) -> Happening:
    """New connections are shown a certificate that must not be accepted; those that were there end."""

    @asynccontextmanager
    async def happening(house: House) -> AsyncIterator[None]:
        line = house.lines["first"]
        good, line.tls = line.tls, house.certificates.bad[name]
        line.cut()
        yield
        line.tls = good

    return happening


@asynccontextmanager
async def handshake_hangs(house: House) -> AsyncIterator[None]:
    """New connections are accepted, and no handshake comes; those that were there end."""
    line = house.lines["first"]
    await line.hang()
    yield
    await line.mend()


FAULTS: Final = {
    "down": Fault(happening=down),
    "answering 503": Fault(happening=behaving("error-503"), variant=True),
    "slow": Fault(happening=behaving("slow-head-30s")),
    "dripping": Fault(happening=troubled(Trouble(drip_bytes_s=100)), variant=True),
    "flapping": Fault(happening=flapping),
    "failing one in ten": Fault(happening=behaving("error-500+share-10")),
    "limiting": Fault(happening=behaving("error-429+retry-after-7")),
    "cutting before content": Fault(happening=behaving("drop"), variant=True),
    "cutting after content": Fault(happening=behaving("cut-after-3"), after_content=True),
    "resetting after content": Fault(happening=behaving("reset-after-3"), after_content=True, variant=True),
    "swallowing packets": Fault(happening=swallowing(syn=False)),
    "swallowing SYNs": Fault(happening=swallowing(syn=True), variant=True),
    "without a name": Fault(happening=unresolvable),
    "of an expired certificate": Fault(happening=certified("expired"), tls=True, variant=True),
    "of another's certificate": Fault(happening=certified("of another name"), tls=True, variant=True),
    "of an unknown authority": Fault(happening=certified("of an unknown authority"), tls=True),
    "hanging in handshakes": Fault(happening=handshake_hangs, tls=True, variant=True),
}
