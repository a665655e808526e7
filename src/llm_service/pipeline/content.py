"""What was asked and answered in words, for an operator who wants them in the log: cut to what may be kept."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from llm_service.domain import Body, Event, ModelRequest, Reply
from llm_service.observability import Said

_ASKED: Final = ("messages", "prompt", "input")


class Words:
    """A text that is put together, of which the first ``max_bytes`` are kept (UTF-8)."""

    __slots__ = ("_kept", "_max_bytes", "_pieces", "_said")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._kept = 0
        self._said = 0

    def add(self, text: str) -> None:
        """Go on with this."""
        raw = text.encode("utf-8", "replace")
        self._said += len(raw)
        room = self._max_bytes - self._kept
        if room > 0:
            self._pieces.append(raw[:room])
            self._kept += len(raw[:room])

    def __str__(self) -> str:
        """The text; one that was cut says so."""
        text = b"".join(self._pieces).decode("utf-8", "ignore")  # a character that was cut through is left out
        return text if self._said == self._kept else f"{text} [cut: {self._kept} of {self._said} bytes]"


class Spoken:
    """The words of one exchange. Streams are listened to as they pass."""

    __slots__ = ("_answer", "_max_bytes", "_request")

    def __init__(self, request: ModelRequest, *, max_bytes: int) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._answer = Words(max_bytes)

    def hear(self, event: Event) -> None:
        """A piece of a streamed answer."""
        if event.kind in ("chunk", "finish") and event.raw:
            self._add(event.chunk)

    def hear_whole(self, reply: Reply | None) -> None:
        """An answer that came whole; of numbers there are no words."""
        if reply is None or reply.whole is None or self._request.operation == "embedding":
            return
        try:
            self._add(orjson.loads(reply.whole))
        except orjson.JSONDecodeError:  # what came is what was said
            self._answer.add(reply.whole.decode("utf-8", "replace"))

    def said(self) -> Said:
        """What was said until now."""
        prompt = Words(self._max_bytes)
        prompt.add(_asked(self._request.body))
        return Said(prompt=str(prompt), answer=str(self._answer))

    def _add(self, answer: Any) -> None:
        for text in _texts(answer):
            self._answer.add(text)


def _asked(body: Body) -> str:
    """The messages as JSON, or the text."""
    asked = next((body[name] for name in _ASKED if body.get(name) is not None), "")
    return asked if isinstance(asked, str) else orjson.dumps(asked, default=str).decode()


def _texts(answer: Any) -> Iterator[str]:
    """The words of the first choice: text, or the calls of tools; of a chunk or of a whole answer.

    A provider may have sent anything: what has another form says nothing.
    """
    choice = next((one for one in _objects(_object(answer).get("choices")) if not one.get("index")), {})
    said = _object(choice.get("delta") or choice.get("message") or choice)
    yield from _strings(said.get(name) for name in ("content", "refusal", "text"))
    for call in _objects(said.get("tool_calls")):
        function = _object(call.get("function"))
        yield from _strings(function.get(name) for name in ("name", "arguments"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else iter(())


def _strings(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))
