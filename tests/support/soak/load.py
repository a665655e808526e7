"""The clients: each sort at its own steady rate, whatever becomes of its requests; each answer is looked at closely."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import count
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson
from bench.workloads.support_assistant import Account, Asked, Mix, requests_of
from websockets.exceptions import WebSocketException

from tests.support.doors import STREAMING, Door, Failure, Options, StreamingDoor, Told
from tests.support.doors.asked import NOTHING, Body
from tests.support.doors.graphql import GraphqlMutation
from tests.support.doors.rest import CHAT, bearer, told_whole
from tests.support.rest import Connection
from tests.support.soak.site import AT_ONCE, REQUESTS_PER_MINUTE, Site

PATIENCE_S: Final = 20.0
BROKEN: Final = (OSError, EOFError, TimeoutError, WebSocketException, AssertionError, ValueError, KeyError)
"""What a client meets where an answer just stops, or is none."""
OF_PROVIDERS: Final = frozenset(
    "upstream_error upstream_timeout upstream_rate_limited upstream_invalid_response no_deployment_available "
    "stream_interrupted".split()
)

Sort = Literal["work", "leaves", "minute", "at once", "poor"]
Ending = Literal["open", "ok", "left", "limited", "of provider", "wrong", "broken", "refused"]
"""``ok``: all of the right answer. ``limited``: refused by a limit of the key. ``of provider``: an error of a provider.
The rest is ours: ``wrong`` answers, ``broken`` ones that just stop or never come, and what was ``refused``."""


@dataclass(slots=True)
class Sent:
    """One request, and what became of it; times are of the event loop. ``ref`` is in its tags."""

    ref: str
    sort: Sort
    door: str
    begun_at: float
    ended_at: float = 0.0
    ending: Ending = "open"
    code: str = ""
    cache: str | None = None
    cost_usd: str | None = None

    @property
    def took_s(self) -> float:
        return self.ended_at - self.begun_at


class KeptConnections:
    """REST over connections that are used again, as most clients do; a kept one that fails is no excuse."""

    name = "rest-whole"
    surface = "rest"

    def __init__(self) -> None:
        self._idle: list[Connection] = []

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        connection = await self._connection(address)
        try:
            answer = await connection.ask("POST", CHAT, orjson.dumps(body), **bearer(key), **options.headers)
        except BaseException:
            connection.writer.close()
            raise
        if answer.headers.get("connection") == "close":
            connection.writer.close()
        else:
            self._idle.append(connection)
        return told_whole(answer)

    def close(self) -> None:
        for connection in self._idle:
            connection.writer.close()

    async def _connection(self, address: str) -> Connection:
        while self._idle:
            kept = self._idle.pop()
            if not kept.reader.at_eof() and not kept.writer.is_closing():
                return kept
            kept.writer.close()
        parts = urlsplit(address)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
        return Connection(reader, writer, parts.netloc)


@dataclass
class Load:
    """All clients together. ``rate_per_s`` is that of the declared workload; the others are few."""

    site: Site
    rate_per_s: float
    seed: int = 1
    all: list[Sent] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    """What the cache made of the declared workload."""
    kept: KeptConnections = field(default_factory=KeptConnections)
    _numbers: Iterator[int] = field(default_factory=count)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)
    _beginning: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._whole: Sequence[Door] = (self.kept, self.kept, GraphqlMutation())
        rest, *others = STREAMING
        self._streaming: Sequence[StreamingDoor] = (rest, rest, *others)
        self._workload = requests_of(Mix(), count=10**9, seed=self.seed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Requests begin until the block ends; then what runs is waited for."""
        volleys_per_s = 0.2
        sorts: Mapping[Callable[[], Awaitable[None]], float] = {
            self._work: self.rate_per_s,
            self._leave: self.rate_per_s / 40,
            self._ask_often: REQUESTS_PER_MINUTE * 1.5 / 60,
            self._volley: volleys_per_s,
            self._spend: 1.0,
        }
        self._beginning = [asyncio.create_task(self._at(rate, begin)) for begin, rate in sorts.items()]
        try:
            yield self
        finally:
            for one in self._beginning:
                one.cancel()
            await asyncio.gather(*self._beginning, return_exceptions=True)
            await asyncio.gather(*self._running)
            self.kept.close()

    async def _at(self, rate_per_s: float, begin: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        first_at = loop.time()
        for number in count():
            await asyncio.sleep(first_at + number / rate_per_s - loop.time())
            self._go(begin())

    def _go(self, work: Any) -> None:
        running = asyncio.ensure_future(work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    # -- the sorts

    async def _work(self) -> None:
        asked = next(self._workload)
        door = self._dice.choice(self._streaming if asked.stream else self._whole)
        body, text = worded(asked)
        sent = self._begun("work", door)
        await self._ask(sent, door, body, text)
        if sent.ending == "ok":
            self.account.answered(asked, sent.cache or "none")

    async def _leave(self) -> None:
        """Reads a piece or two, or waits for a while, and is gone."""
        door = self._dice.choice(self._streaming)
        sent = self._begun("leaves", door)
        body, _ = echo("slow", f"nobody reads all of what is said here, {sent.ref}")
        stays_s = self._dice.uniform(0.02, 0.4)
        try:
            async with asyncio.timeout(stays_s), door.stream(self.site.address, body, **self._by(sent)) as reading:
                told = await reading.told()
            self._judge(sent, told, None)
        except TimeoutError:
            sent.ending = "left"
        except BROKEN as failure:
            sent.ending, sent.code = "broken", repr(failure)[:200]
        sent.ended_at = asyncio.get_running_loop().time()

    async def _ask_often(self) -> None:
        """Half as often again as the key may."""
        await self._simply("minute", *echo("main", "the same again"))

    async def _volley(self) -> None:
        """Twice as many at once as the key may have."""
        asked = (echo("slow", f"volley {next(self._numbers)}") for _ in range(2 * AT_ONCE))
        await asyncio.gather(*(self._simply("at once", *one) for one in asked))

    async def _spend(self) -> None:
        body, text = echo("main", f"worth its money {next(self._numbers)}")
        await self._simply("poor", {**body, "max_tokens": 64}, text)

    async def _simply(self, sort: Sort, body: Body, text: str) -> None:
        await self._ask(self._begun(sort, self.kept), self.kept, body, text)

    # -- a request

    def _begun(self, sort: Sort, door: Door) -> Sent:
        sent = Sent(f"r{next(self._numbers)}", sort, door.name, asyncio.get_running_loop().time())
        self.all.append(sent)
        return sent

    def _by(self, sent: Sent) -> dict[str, Any]:
        key = self.site.keys["work" if sent.sort == "leaves" else sent.sort]
        return {"key": key, "options": Options(tags={"ref": sent.ref})}

    async def _ask(self, sent: Sent, door: Door, body: Body, text: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                told = await door.ask(self.site.address, body, **self._by(sent))
            self._judge(sent, told, text)
        except BROKEN as failure:
            sent.ending, sent.code = "broken", repr(failure)[:200]
        sent.ended_at = asyncio.get_running_loop().time()

    def _judge(self, sent: Sent, told: Told, text: str | None) -> None:
        if told.failure is not None:
            sent.ending, sent.code = ended_by(told.failure), told.failure.code
            return
        said = told.text, told.finish_reason
        sent.cache, sent.cost_usd = told.cache, told.cost_usd
        sent.ending = "ok" if text is None or said == (text, "stop") else "wrong"
        sent.code = "" if sent.ending == "ok" else repr(said)[:200]


def ended_by(failure: Failure) -> Ending:
    if failure.limit is not None:
        return "limited"
    return "of provider" if failure.code in OF_PROVIDERS else "refused"


def echo(model: str, text: str) -> tuple[Body, str]:
    """A request whose answer is known, and that answer."""
    return {"model": model, "messages": [{"role": "user", "content": f"echo: {text}"}]}, text


def worded(asked: Asked) -> tuple[Body, str]:
    """A request of the workload, so that its answer tells which one it is of: also which version of which page."""
    *before, last = asked.messages
    text = f"{last['content']} {blake2b(asked.same.encode(), digest_size=4).hexdigest()}"
    body, _ = echo("main", text)
    return {**body, "messages": [*before, *body["messages"]]}, text


def as_ours(sent: Sequence[Sent], blamed: Sequence[tuple[float, float]]) -> list[Sent]:
    """The requests that failed by our own making: a provider's error is one where no provider had been made to fail."""

    def is_ours(one: Sent) -> bool:
        if one.ending == "of provider":
            return not any(begin <= one.ended_at and one.begun_at <= end for begin, end in blamed)
        return one.ending in ("wrong", "broken", "refused", "open")

    return [replace(one) for one in sent if is_ours(one)]
