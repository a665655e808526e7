"""What was asked and answered, where an operator wants it told: for lines and spans alike, redacted, cut to one bound.

The form: gen-ai-input-messages.json and gen-ai-output-messages.json of OpenTelemetry's conventions, as JSON texts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from llm_service.domain import Body, Event, ModelRequest, Reply
from llm_service.observability.facts import Said
from llm_service.observability.lines import json_line
from llm_service.observability.redaction import Redaction

MARGIN: Final = 512
"""As much more is looked at behind the bound: a key that the bound would cut through is known by its whole."""
PART_BYTES: Final = 32
"""What each part takes of the room besides its text, so that empty ones are bounded as well."""
MAX_WORD_CHARS: Final = 256
"""Of names and ids."""
Part = dict[str, Any]


class Contents:
    """Tells what is said in requests. ``max_bytes``: of the texts (UTF-8) of the question, and of the answer."""

    __slots__ = ("_max_bytes", "_redaction")

    def __init__(self, *, max_bytes: int, redaction: Redaction) -> None:
        self._max_bytes = max_bytes
        self._redaction = redaction

    def of(self, request: ModelRequest) -> "Spoken":
        """What is said from now on in the exchange that this request began."""
        return Spoken(request, max_bytes=self._max_bytes, redaction=self._redaction)


class Spoken:
    """The words of one exchange. Streams are listened to as they pass; of an answer the first choice counts."""

    __slots__ = ("_answer", "_chars", "_max_bytes", "_redaction", "_request")

    def __init__(self, request: ModelRequest, *, max_bytes: int, redaction: Redaction) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._redaction = redaction
        self._answer: dict[tuple[str, int], _Piece] = {}
        self._chars = -PART_BYTES  # the last part need not leave room for another

    def hear(self, event: Event) -> None:
        """A piece of a streamed answer."""
        if event.kind in ("chunk", "finish") and event.raw:
            self._hear(event.chunk)

    def hear_whole(self, reply: Reply | None) -> None:
        """An answer that came whole; of numbers there are no words."""
        if reply is None or reply.whole is None or self._request.operation == "embedding":
            return
        try:
            self._hear(orjson.loads(reply.whole))
        except orjson.JSONDecodeError:  # what came is what was said
            self._add("text", 0, reply.whole.decode("utf-8", "replace"))

    def said(
        self,
        finish_reason: str | None,
        *,
        sent: ModelRequest | None = None,
        asks: bool = True,
        conceal: Callable[[str], str] | None = None,
    ) -> Said:
        """What was said. ``finish_reason``: why the answer ended, ``None`` where it broke off.

        ``sent``: the request as its provider got it, where that is another: without what filters masked. ``asks``:
        whether the question is told at all. ``conceal``: takes out of an answer what was put back into it.
        """
        request = sent or self._request
        asked, answered = self._cut(), self._cut()
        body: Body = request.body if asks else {}
        messages = [message for message in map(asked.message, _asked(body)) if message["parts"]]
        asked.mark()
        parts: list[Part] = []
        for piece in self._answer.values():
            text = "".join(piece.texts)
            answered.put(parts, piece.part, piece.key, conceal(text) if conceal else text, beyond=piece.beyond)
        answered.mark()
        answer = {"role": "assistant", "parts": parts, "finish_reason": finish_reason or "error"}
        return Said(
            prompt=self._text(messages) if asks else "",
            answer=self._text([answer]) if parts else "",
            tools=self._tools(request) if asks else "",
        )

    def _cut(self) -> "_Cut":
        return _Cut(self._max_bytes, self._redaction)

    def _tools(self, request: ModelRequest) -> str:
        """Their definitions as they came; half of a JSON text is of no use."""
        tools = request.body.get("tools")
        text = "" if not tools else json_line(tools)[:-1].decode()
        return self._redaction.text(text) if len(text) <= self._max_bytes else ""

    def _text(self, messages: list[Part]) -> str:
        """Redacted as a whole: texts are already, names and addresses are not."""
        return self._redaction.text(json_line(messages)[:-1].decode())

    def _hear(self, answer: Any) -> None:
        choice = next((one for one in _objects(_object(answer).get("choices")) if not one.get("index")), {})
        said = _object(choice.get("delta") or choice.get("message") or choice)
        self._add("reasoning", 0, said.get("reasoning_content") or said.get("reasoning"))
        for name in ("content", "refusal", "text"):
            self._add("text", 0, said.get(name))
        for place, call in enumerate(_objects(said.get("tool_calls"))):
            index = call.get("index")
            self._hear_call(index if type(index) is int else place, call)

    def _hear_call(self, index: int, call: Mapping[str, Any]) -> None:
        function = _object(call.get("function"))
        named = {"id": call.get("id"), "name": function.get("name")}
        told = {name: _word(value) for name, value in named.items() if isinstance(value, str)}
        self._add("tool_call", index, function.get("arguments") or "", **told)

    def _add(self, kind: str, index: int, text: Any, **told: str) -> None:
        if not isinstance(text, str) or not (text or told):
            return
        piece = self._answer.get((kind, index))
        room = self._max_bytes + MARGIN - self._chars
        if piece is None:
            if room <= 0:
                self._chars += len(text)
                next(reversed(self._answer.values())).beyond += _bytes_of(text)
                return
            piece = self._answer[kind, index] = _Piece(kind)
            self._chars += PART_BYTES
        piece.part |= told
        if room > 0:
            piece.texts.append(text[:room])
        piece.beyond += _bytes_of(text[max(room, 0) :])
        self._chars += len(text)


class _Piece:
    """One part of an answer that comes in pieces. ``beyond``: so many bytes of it are not kept."""

    __slots__ = ("beyond", "key", "part", "texts")

    def __init__(self, kind: str) -> None:
        self.part: Part = {"type": kind}
        self.key = "arguments" if kind == "tool_call" else "content"
        self.texts: list[str] = []
        self.beyond = 0


class _Cut:
    """Room for texts: puts parts together until it is used up, and says what is missing."""

    def __init__(self, max_bytes: int, redaction: Redaction) -> None:
        self._left = max_bytes
        self._redaction = redaction
        self._kept = 0
        self._said = 0
        self._is_cut = False
        self._last: tuple[Part, str] | None = None

    def message(self, message: Mapping[str, Any]) -> Part:
        """A message, with as many of its parts as there is room for."""
        parts: list[Part] = []
        for part, key in _parts(message):
            text = part.get(key, "")
            self.put(parts, part, key, text if isinstance(text, str) else "")
        return {"role": _word(message.get("role")), "parts": parts}

    def put(self, parts: list[Part], part: Part, key: str, text: str, *, beyond: int = 0) -> None:
        """Put a part among the others, with as much of its text as there is room for. ``beyond``: what follows it."""
        said = _bytes_of(text)
        self._said += said + beyond
        if self._left <= 0:
            self._is_cut = True
            return
        window = text[: self._left + MARGIN]
        told = self._redaction.text(window)
        if beyond or len(window) < len(text):
            told, self._is_cut = told[:-MARGIN], True
        raw = told.encode("utf-8", "replace")
        kept = raw[: self._left]
        self._is_cut = self._is_cut or len(kept) < len(raw)
        self._kept += len(kept)
        self._left -= len(kept) + PART_BYTES
        if text:
            part[key] = kept.decode("utf-8", "ignore")  # a character that was cut through is left out
            self._last = part, key
        parts.append(part)

    def mark(self) -> None:
        """Have the last text say that it, or what follows it, was cut."""
        if self._is_cut and self._last is not None:
            part, key = self._last
            part[key] += f" [cut: {self._kept} of {self._said} bytes]"


def _asked(body: Body) -> Iterator[Mapping[str, Any]]:
    """The messages of a chat; the prompt of a completion, or what is to be embedded, as one."""
    if isinstance(body.get("messages"), list):
        yield from _objects(body["messages"])
        return
    asked = body.get("prompt", body.get("input"))
    texts = asked if isinstance(asked, list) else [asked]
    yield {"role": "user", "content": [{"type": "text", "text": text} for text in texts if isinstance(text, str)]}


def _parts(message: Mapping[str, Any]) -> Iterator[tuple[Part, str]]:
    """The parts of a message, and by which name each has its text."""
    content = message.get("content")
    if message.get("role") == "tool":
        response = content if isinstance(content, str) else " ".join(_texts(content))
        answered = {"type": "tool_call_response", "id": _word(message.get("tool_call_id")), "response": response}
        yield answered, "response"
        return
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        yield {"type": "reasoning", "content": thought}, "content"
    if isinstance(content, str):
        yield {"type": "text", "content": content}, "content"
    yield from map(_part, _objects(content))
    yield from map(_tool_call, _objects(message.get("tool_calls")))


def _part(part: Mapping[str, Any]) -> tuple[Part, str]:
    """Images by their address; what is sent as data is named alone."""
    address = _object(part.get("image_url")).get("url")
    if isinstance(address, str) and not address.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": address}, "uri"
    if isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}, "content"
    return {"type": _word(part.get("type"))}, "content"


def _tool_call(call: Mapping[str, Any]) -> tuple[Part, str]:
    function = _object(call.get("function"))
    named = {"type": "tool_call", "id": _word(call.get("id")), "name": _word(function.get("name"))}
    arguments = function.get("arguments")
    return {**named, "arguments": arguments if isinstance(arguments, str) else ""}, "arguments"


def _texts(content: Any) -> Iterable[str]:
    return (part["text"] for part in _objects(content) if isinstance(part.get("text"), str))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else iter(())


def _word(value: Any) -> str:
    """A name or an id, which whoever sends it chooses."""
    return value[:MAX_WORD_CHARS].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
