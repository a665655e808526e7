"""Clients that go on asking while processes are killed, and know afterwards what they were answered."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import orjson

from tests.support.rest import Connection, connected

CHAT = "/v1/chat/completions"
MODELS = ("openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash")
MOST_OUTPUT_TOKENS = 400
NOBODY_THERE_S = 0.02
"""After which a client that was refused, or found nobody, asks again: else it would do nothing but that."""
PATIENCE_S = 20.0

Ending = Literal["open", "acknowledged", "refused", "failed", "left", "cut"]
"""How a call ended for its client: with the whole answer; with an error, before or instead of one; because it left;
because the connection broke."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose credential and name a call goes by. ``scope`` and ``subject``: of the budget that it is counted for."""

    credential: str
    scope: str
    subject: str
    user: str | None = None


@dataclass(slots=True)
class Call:
    """One request. ``ref`` is in its prompt and in its tags, so that simulator and ledger both know it."""

    ref: str
    model: str
    stream: bool
    behaviour: str
    payer: Payer
    leaves_after_s: float | None = None
    ending: Ending = "open"
    status: int = 0
    code: str = ""
    body: bytes = b""
    began_at: float = 0.0
    """Unix seconds."""
    ended_at: float = 0.0

    @property
    def body_sent(self) -> bytes:
        """The request's body."""
        messages = [{"role": "user", "content": f"ref:{self.ref} Tell me about the sea."}]
        fields = {"model": self.model, "messages": messages, "stream": self.stream, "sandbox": self.behaviour}
        return orjson.dumps({**fields, "max_tokens": MOST_OUTPUT_TOKENS})

    @property
    def headers(self) -> dict[str, str]:
        """Its credential, its tags, and its user."""
        said = {"Authorization": f"Bearer {self.payer.credential}", "X_LLM_Tags": f"ref={self.ref}"}
        return said if self.payer.user is None else {**said, "X_LLM_User": self.payer.user}


@dataclass(slots=True)
class Load:
    """So many clients, each of which asks again as soon as it has been answered."""

    address: str
    payers: Sequence[Payer]
    dice: random.Random
    calls: list[Call] = field(default_factory=list)
    most_pace_ms: int = 8
    leaving: float = 0.15
    """The share of the calls whose client does not wait for the end."""
    streaming: float = 0.6
    most_calls: int = 1_000_000
    _numbers: "count[int]" = field(default_factory=count)
    _stopped: bool = False
    _begun: int = 0
    _clients: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self, *, clients: int) -> None:
        """Let them begin."""
        self._stopped = False
        self._clients = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def done(self) -> None:
        """Wait until the most calls have been made."""
        await asyncio.gather(*self._clients)
        self._clients = []

    async def stop(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self._stopped = True
        await self.done()

    def of(self, ending: Ending) -> list[Call]:
        """The calls that ended so."""
        return [call for call in self.calls if call.ending == ending]

    async def _client(self) -> None:
        while not self._stopped and self._begun < self.most_calls:
            self._begun += 1
            call = self._next()
            if not await made(call, self.address) or call.ending == "refused":
                await asyncio.sleep(NOBODY_THERE_S)
            self.calls.append(call)

    def _next(self) -> Call:
        dice = self.dice
        stream, tokens = dice.random() < self.streaming, dice.randint(3, 60)
        behaviour = f"tokens-{tokens}"
        behaviour += (
            f"+pace-{dice.randint(1, self.most_pace_ms)}ms" if stream else f"+slow-head-{dice.randint(5, 250)}ms"
        )
        if dice.random() < 0.05:
            behaviour = "error-503"
        return Call(
            ref=f"{next(self._numbers)}.{dice.getrandbits(32):08x}",
            model=dice.choice(MODELS),
            stream=stream,
            behaviour=behaviour,
            payer=dice.choice(self.payers),
            leaves_after_s=dice.uniform(0.01, 0.4) if dice.random() < self.leaving else None,
        )


async def made(call: Call, address: str) -> bool:
    """Make one call to its end. False: nobody was there to take it."""
    clock = time.time
    call.began_at = clock()
    async with AsyncExitStack() as held:
        try:
            connection = await held.enter_async_context(connected(address))
        except OSError:
            call.ending, call.ended_at = "cut", clock()
            return False
        connection.send("POST", CHAT, call.body_sent, **call.headers)
        try:
            async with asyncio.timeout(call.leaves_after_s or PATIENCE_S):
                await _answered(call, connection)
        except TimeoutError:
            assert call.leaves_after_s is not None, f"{call.ref} was not answered within {PATIENCE_S} s"
            call.ending = "left"
        except (OSError, asyncio.IncompleteReadError):
            call.ending = "cut"
    call.ended_at = clock()
    return True


async def _answered(call: Call, connection: Connection) -> None:
    call.status, headers = await connection.head()
    if headers.get("transfer-encoding") == "chunked":
        async for piece in connection.pieces():
            call.body += piece
            if call.body.endswith(b"data: [DONE]\n\n"):  # from here on the client has all there is
                call.ending = "acknowledged"
        if call.ending != "acknowledged":
            call.ending, call.code = "failed", code_of(last_data(call.body))
        return
    call.body = await connection.reader.readexactly(int(headers.get("content-length", 0)))
    if call.status == 200:
        call.ending = "acknowledged"
        return
    said = orjson.loads(call.body)
    call.code = code_of(said)
    call.ending = "refused" if said.get("provider") is None else "failed"


def last_data(stream: bytes) -> Mapping[str, Any]:
    """The last event of a stream, decoded."""
    _, _, last = stream.rstrip().rpartition(b"data: ")
    found: Mapping[str, Any] = orjson.loads(last or b"{}")
    return found


def code_of(said: Mapping[str, Any]) -> str:
    """The code of an error body."""
    return str((said.get("error") or {}).get("code") or "")
