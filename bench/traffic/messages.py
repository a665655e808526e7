"""What load and upstream say to each other, through whatever stands between them.

The prompt says which answer is wanted: ``[answer id=7f-12 chunks=50 gap_ms=20]``. The answer's text names the request's
id, and each chunk of a stream its place and the time at which it was written, by the clock that all processes of a
machine share, so that a wrong, missing or swapped answer is seen, and how late each chunk is.
"""

import json
import re
from typing import Any, Final, NamedTuple

MODEL: Final = "mock-model"
FILLER: Final = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. "
WORDS: Final = ("the quick brown fox jumps over the lazy dog " * 15)[:640]
ENVELOPE: Final = '{"id":"chatcmpl-%s","object":"%s","created":1700000000,"model":"mock-model","choices":['
_WANTED: Final = re.compile(rb"\[answer id=([0-9a-zA-Z-]{1,60}) chunks=(\d{1,6}) gap_ms=(\d{1,5})\]")
_STREAMS: Final = re.compile(rb'"stream"\s*:\s*true')
_WANTS_USAGE: Final = re.compile(rb'"include_usage"\s*:\s*true')
_PLACED: Final = re.compile(rb"(\d+)@(\d+) ")


class Wanted(NamedTuple):
    """What a request asks of the upstream."""

    id: str
    chunks: int
    gap_ms: int
    streams: bool
    usage: bool


def wanted(body: bytes) -> Wanted:
    """What the body of a request asks for; one that asks for nothing gets an answer of 50 chunks to ``0``."""
    found = _WANTED.search(body)
    streams = _STREAMS.search(body) is not None
    usage = _WANTS_USAGE.search(body) is not None
    if found is None:
        return Wanted(id="0", chunks=50, gap_ms=0, streams=streams, usage=usage)
    return Wanted(found[1].decode(), int(found[2]), int(found[3]), streams, usage)


def request_body(identity: str, *, model: str, prompt_bytes: int, chunks: int = 0, gap_ms: int = 0) -> bytes:
    """A chat request of about ``prompt_bytes``; it asks for a stream where it asks for chunks."""
    said = f"[answer id={identity} chunks={chunks} gap_ms={gap_ms}] "
    asked: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": said},
        ],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if chunks:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    missing = max(0, prompt_bytes - len(json.dumps(asked, separators=(",", ":"))))
    asked["messages"][1]["content"] = said + (FILLER * (missing // len(FILLER) + 1))[:missing]
    return json.dumps(asked, separators=(",", ":")).encode()


def whole_answer(identity: str) -> bytes:
    """The answer to a request that asked for no stream: about one kilobyte."""
    return (
        ENVELOPE % (identity, "chat.completion")
        + '{"index":0,"message":{"role":"assistant","content":"id=%s %s","refusal":null},' % (identity, WORDS)
        + '"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":123,"completion_tokens":45,'
        '"total_tokens":168,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_mock"}'
    ).encode()


def content_event(identity: str, place: int, at_ns: int) -> bytes:
    """The event of one chunk, as server-sent events have it."""
    role = '"role":"assistant",' if place == 0 else ""
    choice = '{"index":0,"delta":{%s"content":"%d@%d "},"logprobs":null,"finish_reason":null}]}' % (role, place, at_ns)
    return f"data: {ENVELOPE % (identity, 'chat.completion.chunk')}{choice}\n\n".encode()


def closing_events(wanted: Wanted) -> bytes:
    """What follows the last chunk: the finish, the usage where it is asked for, and the end."""
    head = ENVELOPE % (wanted.id, "chat.completion.chunk")
    finish = '{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}'
    events = [head + finish]
    if wanted.usage:
        total = 123 + wanted.chunks
        used = '"prompt_tokens":123,"completion_tokens":%d,"total_tokens":%d' % (wanted.chunks, total)
        events.append(head + '],"usage":{%s}}' % used)
    return "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")).encode()


def places(piece: bytes) -> list[tuple[int, int]]:
    """Of each chunk in a piece of a stream: its place, and when it was written, in ns."""
    return [(int(place), int(at_ns)) for place, at_ns in _PLACED.findall(piece)]
