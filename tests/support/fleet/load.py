"""Clients at a steady rate through every door, who resume streams that are cut and remember what each was told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, Literal

from websockets.exceptions import WebSocketException

from tests.support.doors import STREAMING, Door, Options, Piece, Reading, StreamingDoor, Told
from tests.support.doors.graphql import GraphqlMutation
from tests.support.doors.rest import RestWhole
from tests.support.doors.told import added_up

MODELS: Final = ("openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash")
MOST_OUTPUT_TOKENS: Final = 120
PATIENCE_S: Final = 40.0
RESUMES_FOR_S: Final = 25.0
"""A client gives a stream up that it cannot go on with for so long."""
AGAIN_S: Final = 0.25
WORDS: Final = "one two three four five six seven eight nine ten eleven twelve".split()
CUT: Final = (OSError, EOFError, TimeoutError, AssertionError, LookupError, WebSocketException)
"""What the doors' clients raise where a connection ends, or an answer is none of the service's."""
TRANSIENT: Final = frozenset({"unreachable", "draining", "overloaded", "cache_unavailable"})

Ending = Literal["open", "ok", "limited", "failed", "broken", "wrong"]
"""``ok``: the whole text, in order, with its end. ``limited``: refused by the payer's own limit. ``failed``: another
error, of the service or the balancer. ``broken``: the connection ended, and there was nothing to go on from.
``wrong``: another text."""


@dataclass(frozen=True, slots=True)
class Payer:
    """An api key; ``codes``: with which it may be refused. ``share`` of the load."""

    name: str
    key: str
    key_id: str
    share: float
    codes: frozenset[str] = frozenset()


@dataclass(slots=True)
class Call:
    """One request, in at most a few connections, and what became of it; times are Unix seconds."""

    ref: str
    door: Door
    payer: Payer
    model: str
    text: str
    behaviour: str
    began_at: float
    ended_at: float = 0.0
    ending: Ending = "open"
    code: str = ""
    leaves_after: int | None = None
    """The client of a stream loses its connection after so many pieces, and comes back, perhaps by another door."""
    resumes: int = 0
    """How often the client had to come back for the rest of a stream."""
    told: Told | None = None

    @property
    def body(self) -> Mapping[str, Any]:
        messages = [{"role": "user", "content": f"echo: {self.text}"}]
        fields = {"model": self.model, "messages": messages, "max_tokens": MOST_OUTPUT_TOKENS}
        return {**fields, "sandbox": self.behaviour}

    @property
    def options(self) -> Options:
        return Options(tags={"ref": self.ref}, on_disconnect="finish")

    @property
    def is_error(self) -> bool:
        return self.ending not in ("ok", "limited")

    def describe(self) -> str:
        at = time.strftime("%H:%M:%S", time.gmtime(self.began_at))
        return (
            f"{at} {self.ref} {self.door.name} of {self.payer.name}: {self.ending} {self.code}, {self.resumes} resumes"
        )


@dataclass
class Load:
    """An open loop: calls begin at their times, whatever becomes of those before."""

    address: str
    payers: Sequence[Payer]
    rate_per_s: float
    leaving: float
    dice: random.Random
    calls: list[Call] = field(default_factory=list)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)
    _beginning: "asyncio.Task[None] | None" = None

    async def __aenter__(self) -> "Load":
        self._beginning = asyncio.create_task(self._begin())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)
        await asyncio.gather(*self._running)

    def endings(self) -> Counter[str]:
        """How calls ended, errors with their code."""
        return Counter(f"{one.ending} {one.code}".strip() if one.is_error else one.ending for one in self.calls)

    def errors(self) -> list[Call]:
        return [one for one in self.calls if one.is_error]

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        first_at = loop.time()
        for number in count():
            await asyncio.sleep(first_at + number / self.rate_per_s - loop.time())
            call = self._next(number)
            self.calls.append(call)
            running = asyncio.create_task(self._make(call))
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    def _next(self, number: int) -> Call:
        dice, streaming = self.dice, number % 2 == 0
        doors: Sequence[Door] = STREAMING if streaming else (RestWhole(), GraphqlMutation())
        (door,) = dice.choices(doors, (4, 1, 1, 2) if streaming else (3, 1))
        (payer,) = dice.choices(self.payers, [one.share for one in self.payers])
        ref = f"{number}.{dice.getrandbits(32):08x}"
        words = dice.choices(WORDS, k=dice.randint(4, 40 if streaming else 12))
        pace = f"pace-{dice.randint(5, 40)}ms" if streaming else f"slow-head-{dice.randint(5, 250)}ms"
        call = Call(ref, door, payer, dice.choice(MODELS), f"ref {ref} {' '.join(words)}", pace, time.time())
        if streaming and dice.random() < self.leaving:
            call.leaves_after = dice.randint(1, 8)
        return call

    async def _make(self, call: Call) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S + RESUMES_FOR_S):
                if call.door in STREAMING:
                    told = await self._streamed(call, call.door)
                else:
                    told = await call.door.ask(self.address, call.body, key=call.payer.key, options=call.options)
            judge(call, told)
        except CUT as failure:
            call.ending, call.code = "broken", f"{type(failure).__name__} {failure}"[:100].strip()
        call.ended_at = time.time()

    async def _streamed(self, call: Call, door: StreamingDoor) -> Told:
        """Read to the end, from whichever machine: a stream that is cut is gone on with behind its last event."""
        clock = asyncio.get_running_loop().time
        opening = door.stream(self.address, call.body, key=call.payer.key, options=call.options)
        pieces: list[Piece] = []
        gives_up_at = 0.0
        while True:
            cut: BaseException = AssertionError("the client left")
            try:
                told = await _read(opening, pieces, leaves_after=None if call.resumes else call.leaves_after)
                if told is not None and not (pieces and told.code in TRANSIENT):
                    return replace(told, choices=added_up(pieces), pieces=tuple(pieces))
            except CUT as failure:
                cut = failure
            gives_up_at = gives_up_at if call.resumes else clock() + RESUMES_FOR_S
            if not pieces or clock() > gives_up_at:  # nothing to go on from, or nobody who would
                raise cut
            call.resumes += 1
            await asyncio.sleep(AGAIN_S)  # who came back at once would meet what cut it
            opening = self.dice.choice(STREAMING).resume(self.address, pieces[-1].cursor, key=call.payer.key)


async def _read(
    opening: AbstractAsyncContextManager[Reading], pieces: list[Piece], *, leaves_after: int | None
) -> Told | None:
    """Adds what comes to the pieces; how it ended, None when its client has left before."""
    async with opening as reading:
        while (piece := await reading.next()) is not None:
            pieces.append(piece)
            if len(pieces) == leaves_after:
                return None
        return await reading.told()


def judge(call: Call, told: Told) -> None:
    """Whether an answer is what was asked for."""
    call.told = told
    if told.failure is not None:
        call.code = told.failure.code
        call.ending = "limited" if call.code in call.payer.codes and not told.pieces else "failed"
        return
    numbers = [piece.seq for piece in told.pieces or ()]
    in_order = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    if (told.text, told.finish_reason, in_order) == (call.text, "stop", True):
        call.ending = "ok"
    else:
        call.ending, call.code = "wrong", f"{told.text!r} {told.finish_reason} {numbers}"
