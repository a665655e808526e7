"""Going on with a stream from where its reader left it, and cancelling one: for its owner alone."""

import re
from collections.abc import Callable
from typing import Final

from llm_service.api.call_options import Place
from llm_service.api.http_request import HungUp
from llm_service.api.leaving import Leaving
from llm_service.domain import CacheUnavailable, InvalidValue, NotFound, StreamCancelled, fact_in_order
from llm_service.streams import CANCELLED, Generation, Stream, Streams

MAX_DIGITS: Final = 15
_ID: Final = re.compile(r"[a-z]{1,8}_[0-9a-z]{1,32}")


@fact_in_order
class Resumed:
    """A stream with its generation, which the caller has joined and must leave or read; events after ``after``."""

    stream: Stream
    generation: Generation
    after: int


class Resuming:
    """To all but the owner of a stream it is not there."""

    def __init__(self, streams: Streams, *, tell: Callable[[str], None] = lambda outcome: None) -> None:
        """``tell``: hears of each client that comes back, `resumed` or `refused`."""
        self._streams = streams
        self._tell = tell

    async def at(self, cursor: str, place: Place, *, owner: str) -> Resumed:
        """The stream that a cursor such as ``str_0675fd8a.12`` names, joined; ``place``: where the cursor was given.

        Raises InvalidValue, NotFound and CacheUnavailable.
        """
        stream_id, after = cursor_in(cursor, place)
        return await self.after(stream_id, after, owner=owner)

    async def after(self, stream_id: str, after: int | str | None, *, owner: str) -> Resumed:
        """The stream, joined, behind the event ``after`` (its number or its cursor; from the first without).

        Raises NotFound where it is not this owner's, has ended too long ago, or no longer keeps its beginning, and
        InvalidValue for an event that there is not, and CacheUnavailable where it is asked for while that is not known.
        """
        try:
            resumed = await self._after(stream_id, after, owner=owner)
        except (NotFound, InvalidValue, CacheUnavailable):
            self._tell("refused")
            raise
        self._tell("resumed")
        return resumed

    async def _after(self, stream_id: str, after: int | str | None, *, owner: str) -> Resumed:
        stream, generation = await self._joined(stream_id, owner=owner)
        try:
            number = 0 if after is None else number_in(str(after), stream.id)
            if not generation.keeps(number):
                raise NotFound(f"The beginning of the stream `{stream.id}` is no longer kept (streams.max_bytes).")
            if not generation.may_have(number):
                raise InvalidValue(f"The stream `{stream.id}` has no event {number} so far.", param="after")
        except BaseException:
            generation.leave()
            raise
        return Resumed(stream, generation, number)

    async def begun(self, resumed: Resumed, leaving: Leaving | None = None) -> None:
        """Wait for the generation to begin; it is left when that fails. Raises what ended it before that.

        ``leaving``: the client that waits, in the task which this is called in. Raises HungUp when that leaves first,
        or its stream is cancelled.
        """
        generation, readers = resumed.generation, resumed.stream.sinks
        if leaving is not None:
            readers.append(leaving)
        try:
            await generation.beginning()
        except BaseException:
            generation.leave()
            if leaving is None or not leaving.happened:
                raise
            leaving.serving.uncancel()
            raise HungUp from None
        finally:
            if leaving is not None:
                readers.remove(leaving)
        if generation.begun:
            return
        generation.leave()
        ended = generation.outcome
        if ended is not None and ended.error is not None:
            raise ended.error.again()
        raise StreamCancelled("The stream was cancelled before its answer began.")

    async def cancel(self, stream_id: str, *, owner: str) -> tuple[str, bool]:
        """End the stream, and its generation unless others read it; its id, and whether it ran.

        Raises NotFound and CacheUnavailable.
        """
        stream, generation = await self._joined(stream_id, owner=owner)
        try:
            running = await self._streams.runs(stream)
        finally:
            generation.leave()
        if running:
            await self._streams.cancel(stream)
        return stream.id, running

    async def give_up(self, stream: Stream) -> None:
        """End a stream of whose client the door knows that it is the owner's, also before its answer begins."""
        if stream.generation is None:
            stream.cancel(StreamCancelled(CANCELLED))
        elif await self._streams.runs(stream):
            await self._streams.cancel(stream)

    async def _joined(self, stream_id: str, *, owner: str) -> tuple[Stream, Generation]:
        stream = await self._streams.joined(stream_id, owner=owner)
        if stream is None or stream.generation is None:
            named = f"stream `{stream_id}`" if _ID.fullmatch(stream_id) else "such stream"
            raise NotFound(
                f"There is no {named} of this key; an ended one is kept for "
                f"{self._streams.retention_s:g} s (streams.retention_s)."
            )
        return stream, stream.generation


def cursor_in(text: str, place: Place) -> tuple[str, int]:
    """Stream and number of a cursor such as ``str_0675fd8a.12``. Raises InvalidValue."""
    stream_id, dot, number = text.strip().rpartition(".")
    if not dot or not stream_id:
        raise InvalidValue(f"{place.said} must be the id of an event, such as str_0675fd8a.12.", param=place.param)
    return stream_id, number_in(number, stream_id)


def number_in(text: str, stream_id: str) -> int:
    """The number of an event, from the number alone or from a cursor of this stream. Raises InvalidValue."""
    number = text.strip().removeprefix(f"{stream_id}.")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS):
        said = f"'after' must be the number of an event, or its id, such as 12 or {stream_id[:64]}.12."
        raise InvalidValue(said, param="after")
    return int(number)
