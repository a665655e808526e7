"""The hot routes without sockets: bytes go into a connection's protocol, and what it writes is kept.

Both lanes stand over the same door. Time stands still and ids are counted, so that the same bytes get the same answer.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from llm_service.api import (
    Calls,
    DoorParts,
    GenerateDoor,
    HttpServer,
    RestApp,
    Resuming,
    ServerOptions,
    Serving,
    StreamRoutes,
)
from llm_service.api.acts import Acts
from llm_service.api.connection import Connection
from llm_service.domain import (
    Event,
    Head,
    Outcome,
    RateLimited,
    Reply,
    RequestTooLarge,
    Secret,
    Sink,
    StreamInterrupted,
    Subscription,
    UpstreamTimeout,
)
from llm_service.observability import Listeners
from llm_service.pipeline import Exchange
from llm_service.runtime import Tasks
from llm_service.services import Authenticator
from llm_service.streams import Streams
from tests.support.clock import ManualClock
from tests.support.control import CountedIds
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

KEY = "sk-test-lanes"
DATE = [(b"date", b"Thu, 26 Nov 2026 19:00:00 GMT"), (b"x-frame-options", b"DENY")]
MOST_BODY_BYTES = 200_000
HEAD = Head(provider="p", model="p/m", upstream_model="m\N{SNOWMAN}")
CHUNKS = 3
WHOLE = b'{"object":"chat.completion"}'
OK = Outcome(status="ok")


class Whole(Reply):
    head = HEAD
    whole = WHOLE
    outcome = OK

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        raise TypeError("nobody streams it")

    async def aclose(self) -> None:
        """Nothing to give up."""


class Streamed(Reply):
    """Each chunk in a turn of the event loop of its own.

    ``endless``: until somebody has had enough; ``stalls``: none but the first; ``fails``: it ends with an error.
    """

    head = HEAD
    whole = None
    outcome = None

    def __init__(self, *, endless: bool = False, stalls: bool = False, fails: bool = False) -> None:
        self.paused = self.detached = False
        self._left = -1 if endless else CHUNKS
        self._stalls = stalls
        self._fails = fails
        self._seq = 0
        self._sink: Sink | None = None

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        self._sink = sink
        self._next()
        return self

    def _next(self) -> None:
        if self.detached or self.paused or self._sink is None:
            return
        if self._left == 0:
            error = StreamInterrupted("It broke off.", provider="p") if self._fails else None
            self._sink.end(OK if error is None else Outcome(status="error", error=error))
            return
        self._left -= 1
        self._seq += 1
        self._sink.write([Event(self._seq, b'{"chunk":%d}' % self._seq)])
        if not self._stalls:
            asyncio.get_running_loop().call_soon(self._next)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._next()

    def detach(self) -> bool:
        self.detached = True
        return False

    async def aclose(self) -> None:
        self.detached = True


class Gateway:
    """Answers by the name of the model that is asked for."""

    stage_names = ("provider",)

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.streamed: list[Streamed] = []

    async def chat(self, exchange: Exchange) -> Reply:
        model = exchange.request.model
        self.asked.append(model)
        exchange.marks.append(exchange.received_at)
        try:
            if model == "slow":
                await self.may_answer.wait()
            elif model == "later":
                await loop_turns(2)
        except asyncio.CancelledError:
            self.cancelled.append(model)
            raise
        if model == "full":
            raise RateLimited("Too many.", retry_after_s=2.5)
        if model == "small":
            raise RequestTooLarge("It takes less.", provider="p")
        if model == "late":
            raise UpstreamTimeout("It took too long.", provider="p")
        if model == "defect":
            raise RuntimeError("a defect")
        if model == "end":
            raise KeyboardInterrupt
        if not exchange.request.stream:
            return Whole()
        self.streamed.append(Streamed(endless=model == "endless", stalls=model == "stalled", fails=model == "torn"))
        return self.streamed[-1]


class Wire(asyncio.Transport):
    """A client's end. ``full``: it does not read; whoever writes learns of that as from any transport."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = self.aborted = False
        self.reads = True
        self.protocol: Any = None
        self.buffered_bytes = 0

    def write(self, data: Any) -> None:
        if not self.closed:  # as with any transport, nobody hears of it
            self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_write_buffer_size(self) -> int:
        return self.buffered_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    @property
    def said(self) -> bytes:
        return b"".join(self.writes)


class Site:
    """One server, on one of the lanes, and its connections."""

    def __init__(self, *, fast: bool) -> None:
        self.fast = fast
        self.clock, self.log, self.gateway = ManualClock(), LogLines(), Gateway()
        options = ServerOptions(max_body_bytes=MOST_BODY_BYTES, keep_alive_s=10)
        self.tasks = Tasks(on_failure=lambda work, failure: self.log.error(work, exc_info=failure))
        streams = Streams(self.clock, retention_s=0, total_bytes=1_000_000)
        self.serving = Serving(streams)
        self.answered: list[tuple[str, str, int]] = []
        authenticator = Authenticator(admin_key=Secret(KEY), keyless=False, allowed_origins=())
        calls = Calls(
            gateway=self.gateway,  # type: ignore[arg-type]  # as much of one as the door needs
            listeners=Listeners([]),
            serving=self.serving,
            finish=False,
            clock=self.clock,
            tasks=self.tasks,
        )
        ids = CountedIds()
        door = GenerateDoor(
            DoorParts(
                calls=calls,
                authenticator=authenticator,
                log=self.log,
                options=options,
                resumed=StreamRoutes(
                    Resuming(streams),
                    options=options,
                    authenticator=authenticator,
                    clock=self.clock,
                    tasks=self.tasks,
                ),
                ids=ids,
                fixed_headers=((b"x-llm-sandbox", b"true"),),
                answered=lambda *said: self.answered.append(said),
            )
        )
        app = RestApp(
            door=door,
            routes=(),
            authenticator=authenticator,
            ids=ids,
            log=self.log,
            acts=Acts(self.log),
            clock=self.clock,
            tasks=self.tasks,
            fixed_headers=(),
            sockets=_no_sockets,
        )
        self.lane = app.lane(is_open=fast)
        self.server = HttpServer(app, refused=app.refused, lane=lambda: self.lane)
        self.server.config.load()
        self.server.server_state.default_headers = DATE

    def connect(self) -> tuple[Connection, Wire]:
        protocol: Any = self.server.config.http_protocol_class(
            config=self.server.config, server_state=self.server.server_state, app_state={}
        )
        wire = Wire()
        protocol.connection_made(wire)
        return protocol, wire

    async def settled(self) -> None:
        """Whatever needs no time has happened."""
        await loop_turns(30)


async def _no_sockets(*_: object) -> None:
    raise TypeError("nobody asks for one")


def posted(
    model: str = "now",
    *,
    stream: bool = False,
    fields: Sequence[bytes] = (),
    key: str = KEY,
    target: bytes = b"/v1/chat/completions",
    version: bytes = b"1.1",
    content: str = "hi",
) -> bytes:
    """A request with a length."""
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}
    return framed(orjson.dumps(asked), fields=fields, key=key, target=target, version=version)


def framed(
    body: bytes,
    *,
    fields: Sequence[bytes] = (),
    key: str = KEY,
    target: bytes = b"/v1/chat/completions",
    version: bytes = b"1.1",
    chunks: int = 0,
) -> bytes:
    """A body in a request, with its length, or in so many chunks."""
    framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % len(body)
    head = [
        b"POST %b HTTP/%b" % (target, version),
        b"Host: 127.0.0.1",
        b"Authorization: Bearer " + key.encode(),
        b"Content-Type: application/json",
        *fields,
        framing,
    ]
    if chunks:
        step = -(-len(body) // chunks) or 1
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
        body = b"".join([*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"])
    return b"\r\n".join([*head, b"", body])
