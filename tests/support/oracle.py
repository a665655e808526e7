"""What a client should see of a stream, read from its bytes in the most naive way: an independent judge of the readers.

Shares no code with the service, and knows only the few things that the service promises to mend.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FINISHES = {"model_length": "length", "eos": "stop"}
BROKEN = ("error", "insufficient_system_resource", "abort")
Piece = tuple[int, str, str]
"""Choice, what grows (content, reasoning, refusal, or a call's number), and by what."""


@dataclass
class Seen:
    """A stream as its reader sees it. ``failed``: an error ended it before it was complete."""

    pieces: list[Piece] = field(default_factory=list)
    calls: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    details: list[Any] = field(default_factory=list)
    finishes: dict[int, str] = field(default_factory=dict)
    usage: Mapping[str, Any] | None = None
    failed: bool = False

    def text(self, what: str, choice: int = 0) -> str:
        """All of it; halves of a character that came in two pieces are one again."""
        text = "".join(piece for index, kind, piece in self.pieces if index == choice and kind == what)
        return text.encode("utf-16", "surrogatepass").decode("utf-16")

    def grow(self, choice: int, what: str, piece: object) -> None:
        if isinstance(piece, str) and piece:
            self.pieces.append((choice, what, piece))


def upstream_seen(body: bytes) -> Seen:
    """The truth in the upstream's bytes."""
    seen = Seen()
    for kind, data in _events(body):
        if data == "[DONE]":
            break
        try:
            chunk = json.loads(data)
        except ValueError:
            seen.failed = True  # cut in the middle of an event
            break
        beside = chunk.get("x_groq") or {}
        seen.usage = chunk.get("usage") or beside.get("usage") or seen.usage
        parts = chunk.get("choices") or []
        broken = chunk.get("error") or kind == "error" or any(part.get("finish_reason") in BROKEN for part in parts)
        if broken:
            seen.failed = not seen.finishes
            break
        for position, part in enumerate(parts):
            _take(seen, part, position)
    seen.failed = seen.failed or not seen.finishes
    for choice in seen.calls:
        if seen.finishes.get(choice) == "stop":
            seen.finishes[choice] = "tool_calls"
    return seen


def client_seen(chunks: Iterable[bytes]) -> Seen:
    """What a strict client accumulates of our chunks; fails where one would."""
    seen = Seen()
    shared: set[tuple[Any, ...]] = set()
    for raw in chunks:
        chunk = json.loads(raw)
        shared.add((chunk["id"], chunk["object"], chunk["created"], chunk["model"]))
        assert chunk["id"]
        assert not chunk.get("error")
        assert ("usage" in chunk) == (seen.usage is None and bool(seen.finishes) and chunk["choices"] == [])
        seen.usage = chunk.get("usage", seen.usage)
        for part in chunk["choices"]:
            _take_strictly(seen, part)
    assert len(shared) <= 1, "id, object, created and model are those of the stream"
    return seen


def _events(body: bytes) -> Iterable[tuple[str, str]]:
    text = body.decode().removeprefix("\ufeff")
    for block in re.split(r"\n{2,}", re.sub(r"\r\n|\r", "\n", text)):
        lines = [line.split(":", 1) for line in block.split("\n") if ":" in line]
        data = [value.removeprefix(" ") for name, value in lines if name == "data"]
        kinds = [value.strip() for name, value in lines if name == "event"]
        if data:
            yield (kinds or [""])[-1], "\n".join(data)


def _take(seen: Seen, part: Mapping[str, Any], position: int) -> None:
    choice = part.get("index", position)
    delta = part.get("delta") or {}
    content = delta.get("content", part.get("text"))
    for block in content if isinstance(content, list) else []:
        for thought in block.get("thinking", []):
            seen.grow(choice, "reasoning", thought["text"])
        seen.grow(choice, "content", block.get("text"))
    seen.grow(choice, "reasoning", delta.get("reasoning") or delta.get("reasoning_content"))
    seen.grow(choice, "content", content)
    seen.grow(choice, "refusal", delta.get("refusal"))
    seen.details += delta.get("reasoning_details") or []
    for fragment in delta.get("tool_calls") or []:
        _take_fragment(seen, choice, fragment)
    word = part.get("finish_reason")
    if word and choice not in seen.finishes:
        seen.finishes[choice] = FINISHES.get(word, word)
        for call in seen.calls.get(choice, []):
            if not call["arguments"]:
                call["arguments"] = "{}"
                seen.grow(choice, f"call {call['number']}", "{}")


def _take_fragment(seen: Seen, choice: int, fragment: Mapping[str, Any]) -> None:
    calls = seen.calls.setdefault(choice, [])
    index, call_id, function = fragment.get("index"), fragment.get("id"), fragment.get("function") or {}
    mine = [call for call in calls if call["at"] == index] if index is not None else calls
    repeated = bool(mine) and bool(call_id) and mine[-1]["id"] == call_id
    if not mine or (not repeated and (call_id or function.get("name"))):
        mine = [
            {"at": index, "id": call_id or None, "name": function.get("name"), "arguments": "", "number": len(calls)}
        ]
        calls += mine
    told = function.get("arguments") or ""
    more = told if isinstance(told, str) else json.dumps(told, separators=(",", ":"))
    mine[-1]["arguments"] += more
    seen.grow(choice, f"call {mine[-1]['number']}", more)


def _take_strictly(seen: Seen, part: Mapping[str, Any]) -> None:
    choice = part["index"]
    assert type(choice) is int
    delta = part["delta"] if "delta" in part else {"content": part["text"]}
    assert delta.get("role", "assistant") == "assistant"
    assert isinstance(delta.get("content"), str | None)
    seen.grow(choice, "reasoning", delta.get("reasoning") or delta.get("reasoning_content"))
    seen.grow(choice, "content", delta.get("content"))
    seen.grow(choice, "refusal", delta.get("refusal"))
    seen.details += delta.get("reasoning_details") or []
    assert delta.get("tool_calls", [None]), "absent rather than empty"
    for fragment in delta.get("tool_calls") or []:
        _take_strict_fragment(seen, choice, fragment)
    if part.get("finish_reason"):
        assert choice not in seen.finishes, "one finish per choice"
        assert part["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")
        seen.finishes[choice] = part["finish_reason"]


def _take_strict_fragment(seen: Seen, choice: int, fragment: Mapping[str, Any]) -> None:
    calls = seen.calls.setdefault(choice, [])
    index, function = fragment["index"], fragment["function"]
    assert type(index) is int
    assert 0 <= index <= len(calls), "dense, in order"
    if index == len(calls):
        assert fragment["type"] == "function"
        assert fragment["id"]
        assert function["name"]
        calls.append({"id": fragment["id"], "name": function["name"], "arguments": ""})
    else:
        assert not fragment.keys() & {"id", "type"}, "once"
        assert "name" not in function, "once"
    calls[index]["arguments"] += function["arguments"]
    seen.grow(choice, f"call {index}", function["arguments"])
