"""The answer of one upstream call while it arrives: bytes in from the transport, events out to a sink."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from llm_service.domain import (
    Event,
    Head,
    LLMServiceError,
    Outcome,
    Reply,
    Secret,
    Sink,
    Subscription,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamTimeout,
)
from llm_service.providers.base import ChunkReader, Dialect, UpstreamCall
from llm_service.providers.deadlines import Deadlines, TimeOuts
from llm_service.providers.secrecy import hide, hide_prompt
from llm_service.providers.sse import ServerEvent, SseDecoder
from llm_service.streams import collect, split
from llm_service.transport import Flow, HttpHead, TransportError

MAX_WHOLE_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024
MAX_UNREAD_EVENTS: Final = 256
MAX_START_PIECES: Final = 64
_WHOLE_STARTS: Final = (b"{", b"[", b"<", b'"')
_NO_HEAD: Final = HttpHead(0, MappingProxyType({}))
_STREAM_STARTS: Final = (b"data:", b":", b"event:", b"id:", b"retry:", b"\xef\xbb\xbf")


class LiveReply(Reply):
    """Receiver of one upstream call and the reply that becomes of it.

    ``started`` returns when the first content (or the whole answer) is there, and raises what went wrong before
    that. Events that come before a sink is attached are kept; beyond a few hundred the upstream is paused, and the
    answer counts as begun though no content came. Whether the body is a stream is seen from its first bytes, whatever
    its content type says.
    """

    __slots__ = (
        "_body", "_body_bytes", "_call", "_closing", "_credential", "_deadlines", "_dialect", "_flow", "_has_content",
        "_http", "_now", "_seq", "_sink", "_started", "_stream", "_time_outs", "_unread", "head", "is_complete",
        "outcome", "whole",
    )  # fmt: skip

    def __init__(
        self, call: UpstreamCall, dialect: Dialect, head: Head, time_outs: TimeOuts, credential: Secret | None
    ) -> None:
        self.head = head
        self.whole = None
        self.outcome = None
        self.is_complete = None
        self._call = call
        self._dialect = dialect
        self._time_outs = time_outs
        self._now = time_outs.clock.monotonic
        self._credential = credential
        self._deadlines = Deadlines(time_outs, self._expire)
        self._flow: Flow | None = None
        self._sink: Sink | None = None
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._http = _NO_HEAD
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._stream: tuple[SseDecoder, ChunkReader] | None = None
        self._unread: list[Event] = []
        self._seq = 0
        self._has_content = False
        self._closing = False

    # -- the reader's side

    async def started(self, flow: Flow) -> Reply:
        """Wait for the first content. Cancelling it aborts the upstream call."""
        if self.outcome is None:
            self._flow = flow
            call = self._call
            self._deadlines.start(deadline_s=call.deadline_s, stream=call.request.stream, spent_s=call.spent_s)
        else:  # refused before the transport had returned
            flow.abort()
        try:
            await self._started
        except asyncio.CancelledError:
            self._give_up()
            raise
        return self

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after``; one sink at a time."""
        self._sink = sink
        if self.whole is not None and self.outcome is not None:
            self._unread = [*split(self.whole, self.outcome)]
        unread, self._unread = [event for event in self._unread if event.seq > after], []
        if unread:
            sink.write(unread)
        if self.outcome is not None:
            self._sink = None
            sink.end(self.outcome)
        elif self._deadlines.paused:
            self.resume()
        return self

    def pause(self) -> None:
        """Read no further from the upstream."""
        self._deadlines.pause()
        if self._flow is not None:
            self._flow.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._deadlines.resume()
        if self._flow is not None:
            self._flow.resume()

    def detach(self) -> bool:
        """The reader has left: cancel the upstream."""
        self._sink = None
        self._give_up()
        return False

    async def aclose(self) -> None:
        """Give the answer up; does nothing when it has ended."""
        self.detach()

    # -- the transport's side

    def on_head(self, head: HttpHead) -> None:
        """The status says whether an answer or an error follows."""
        self._http = head

    def on_body(self, data: bytes) -> None:
        """A piece of the body, as one socket read left it."""
        if self.outcome is not None:
            return
        try:
            if self._stream is None:
                self._gather(data)
            else:
                deadlines = self._deadlines
                deadlines.heard_at = self._now()
                deadlines.bytes += len(data)
                decoder, reader = self._stream
                self._read(reader, decoder.feed(data))
        except LLMServiceError as error:
            self._fail(error)

    def on_end(self) -> None:
        """The body is complete."""
        self._flow = None  # nothing is left to be aborted; and a reply and its call do not keep each other alive
        if self._closing:
            self._time_outs.closing.end(self._abort)
        if self.outcome is not None:
            return
        try:
            if self._stream is None:
                body = self._body
                self._finish_whole(body[0] if len(body) == 1 else b"".join(body))
            else:
                decoder, reader = self._stream
                self._read(reader, decoder.close())
                if self.outcome is None:
                    self._finish(reader, done=False)
        except LLMServiceError as error:
            self._fail(error)

    def on_error(self, error: TransportError) -> None:
        """The upstream call broke off. A stream whose finish reason has come is complete all the same."""
        self._flow = None
        if self.outcome is not None:
            return
        if self._stream is None:
            self._fail(upstream_failure(error))
            return
        _, reader = self._stream
        try:
            self._finish(reader, done=False)
        except LLMServiceError as unfinished:
            self._fail(unfinished if reader.has_content else upstream_failure(error))

    # -- a stream

    def _gather(self, data: bytes) -> None:
        """Collect a body, until it shows that it is a stream."""
        self._body.append(data)
        self._body_bytes += len(data)
        limit = MAX_WHOLE_BYTES if self._http.status == 200 else MAX_ERROR_BYTES
        if self._body_bytes > limit:
            raise UpstreamInvalidResponse(f"The provider sent an answer of more than {limit} bytes.")
        if self._http.status == 200 and self._call.request.stream and len(self._body) <= MAX_START_PIECES:
            self._look_for_a_stream()

    def _look_for_a_stream(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        start = body.lstrip()
        if start.startswith(_WHOLE_STARTS):
            return
        self._body.clear()
        if not start:  # blank lines while the provider thinks; however many, they say nothing of the form
            return
        decoder, reader = self._stream = SseDecoder(), self._dialect.reader(self._call)
        self._read(reader, decoder.feed(body))

    def _read(self, reader: ChunkReader, server_events: Sequence[ServerEvent]) -> None:
        batch: list[Event] = []
        done = False
        try:
            done = reader.read_into(batch, server_events)
        finally:
            if not batch:
                pass
            elif self._has_content and self._sink is not None:
                self._seq = batch[-1].seq
                self._sink.write(batch)
            else:
                self._deliver(reader, batch)
        if done:
            self._finish(reader, done=True)

    def _deliver(self, reader: ChunkReader, batch: list[Event]) -> None:
        self._seq = batch[-1].seq
        if not self._has_content and reader.has_content:
            self._has_content = True
            self._deadlines.content_began()
        if self._sink is not None:
            self._sink.write(batch)
            return
        self._unread += batch
        crowded = len(self._unread) > MAX_UNREAD_EVENTS
        if crowded:
            self.pause()
        if (self._has_content or crowded) and not self._started.done():
            self._started.set_result(None)

    def _finish(self, reader: ChunkReader, *, done: bool) -> None:
        events, outcome = reader.close(done=done)
        if done and self._flow is not None:  # a body that does not end after [DONE] keeps its connection from others
            self._closing = True
            self._time_outs.closing.begin(self._abort)
        self._end(events, outcome)

    # -- a whole answer

    def _finish_whole(self, body: bytes) -> None:
        if self._http.status != 200:
            raise self._dialect.error(self._http.status, self._http.headers, body)
        if not body.startswith(b"{") and body.lstrip().startswith(_STREAM_STARTS):
            raw, outcome = self._collected(body)
        else:
            answer = self._dialect.answer(body, self._call)
            raw, outcome, self.is_complete = answer.raw, answer.outcome, answer.is_complete
        self.whole = raw
        self._end((), outcome)

    def _collected(self, body: bytes) -> tuple[bytes, Outcome]:
        """A whole answer from an upstream that streams though it was not asked to."""
        decoder, reader = SseDecoder(), self._dialect.reader(self._call)
        events: list[Event] = []
        done = reader.read_into(events, (*decoder.feed(body), *decoder.close()))
        terminal, outcome = reader.close(done=done)
        return collect([*events, *terminal]), outcome

    # -- the end, one way or another

    def _end(self, events: Sequence[Event], outcome: Outcome) -> None:
        self._deadlines.stop()
        self.outcome = outcome
        sink, self._sink = self._sink, None
        if sink is not None:
            if events:
                sink.write(events)
            sink.end(outcome)
            return
        self._unread += events
        if not self._started.done():
            self._started.set_result(None)

    def _expire(self, error: LLMServiceError) -> None:
        """A time-out has passed. A stream whose finish reason has come is complete all the same."""
        self._abort()
        if self._stream is not None:
            try:
                self._finish(self._stream[1], done=False)
            except LLMServiceError:  # it is not complete: that it came too late is why
                self._fail(error)
        else:
            self._fail(error)

    def _fail(self, error: LLMServiceError) -> None:
        if error.fault != "gateway":  # the caller's own deadline is nobody else's failure
            error.provider = error.provider or self.head.provider
        hide(self._credential, error)
        hide_prompt(self._call.request.body, error)
        _let_go(error)
        self._abort()
        outcome = self._outcome("error", error)
        self._release()
        if self._sink is None and not self._started.done():
            self._deadlines.stop()
            self.outcome = outcome
            self._started.set_exception(error)
        else:
            self._end((Event(self._seq + 1, b"", "error", error=error),), outcome)

    def _give_up(self) -> None:
        if self.outcome is None:
            self._deadlines.stop()
            self.outcome = self._outcome("aborted", None)
            self._release()
            self._abort()

    def _release(self) -> None:
        """Keep nothing of what was received: the error may be kept for long, and knows its reply."""
        self._body.clear()
        self._stream = None

    def _abort(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.abort()

    def _outcome(self, status: Literal["error", "aborted"], error: LLMServiceError | None) -> Outcome:
        if self._stream is not None:
            return replace(self._stream[1].outcome_so_far(), status=status, error=error)
        if isinstance(error, UpstreamError):
            return Outcome(status=status, error=error, usage=error.usage, cost=error.cost)
        return Outcome(status=status, error=error)


def _let_go(error: BaseException) -> None:
    """Forget where an error was raised, and what led to it: the frames hold what was read, and so does a JSON error.

    An answer of 64 MiB would stay in memory until the collector, which looks seldom, finds reply and error together.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None


def upstream_failure(failure: TransportError) -> UpstreamError:
    """A failure below HTTP, in the words of the one error tree."""
    error = _upstream_failure(failure)
    error.sent = failure.sent
    return error


def _upstream_failure(failure: TransportError) -> UpstreamError:
    if failure.kind == "connect_timeout":
        return UpstreamTimeout(f"The provider cannot be reached: {failure}.")
    if failure.kind in ("protocol", "too_large"):
        return UpstreamInvalidResponse(f"The provider's answer cannot be read: {failure}.")
    if failure.kind == "tls":
        return UpstreamError(f"The provider cannot be reached safely: {failure}.", retryable=False)
    return UpstreamError(f"The provider's connection failed: {failure}.")
