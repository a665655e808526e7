"""Wrong bodies, made from right ones: values of every wrong kind in every place, and texts that are no JSON."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

PROMPT = "the canary sings in the mine"
"""What stands in every prompt, and must be in no log."""

MODELS = (
    "plain/sandbox/chat",
    "openrouter/openai/gpt-4o-mini",
    "deepseek/deepseek-flash",
    "deepseek-chat",
    "fast",
    "nobody/nothing",
)
EMBEDDING_MODELS = ("plain/text-embedding-3-small", "openrouter/openai/text-embedding-3-small", "deepseek/embed")

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": PROMPT},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Well.",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "found"},
        {"role": "user", "name": "ann", "content": PROMPT},
    ],
    "max_tokens": 8,
    "temperature": 0.5,
    "top_p": 1,
    "n": 1,
    "stop": ["\n\n"],
    "seed": 7,
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [TOOL],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {"50256": -100},
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "reasoning_effort": "low",
    "user": "ann",
    "metadata": {"team": "a"},
    "models": ["plain/sandbox/chat"],
    "provider": {"order": ["a"]},
}
COMPLETION: dict[str, Any] = {
    "prompt": [PROMPT],
    "max_tokens": 8,
    "suffix": "end",
    "echo": False,
    "stream": False,
    "stream_options": None,
    "logprobs": None,
    "stop": "x",
    "seed": 1,
    "user": "ann",
}
EMBEDDING: dict[str, Any] = {"input": [PROMPT, "b"], "dimensions": 8, "encoding_format": "float", "user": "ann"}

ROUTES: Sequence[tuple[str, dict[str, Any], Sequence[str]]] = (
    ("/v1/chat/completions", CHAT, MODELS),
    ("/v1/completions", COMPLETION, MODELS),
    ("/v1/embeddings", EMBEDDING, EMBEDDING_MODELS),
)

ODD_ADDRESSES = (
    "http://127.0.0.1:1/",
    "http://0x7f.1/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://a@b@c/",
    "http://[",
    "file:///etc/passwd",
    "//x",
    "http://\u2460.test\n/",
    "data:",
)


def odd_value(random: Random) -> Any:
    """A value that stands where it should not."""
    make: Callable[[], Any] = random.choice(
        (
            lambda: random.choice((None, True, False, 0, -1, 1, 0.1, -0.0, 1e308, float("nan"), float("inf"))),
            lambda: random.choice((2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, -(10**400))),
            lambda: random.choice(
                ("", " ", "\0", "\r\nX: y", "💥" * 9, "\u2028\u0085", "a" * 9000, "../..", "${HOME}")
            ),
            lambda: random.choice(("\ud800", "\udfff\ud800", "{{7*7}}", "<script>", "null", "%00", "'; DROP TABLE x")),
            lambda: random.choice(ODD_ADDRESSES),
            lambda: random.choice(([], {}, [[]], [None], [{}], {"": None}, {"a": []}, [0] * 500, ["x", 1, None, {}])),
            lambda: nested(random.choice((3, 60, 255, 300, 900)), random.choice(("[", '{"a":'))),
            lambda: {str(number): number for number in range(random.choice((2, 300)))},
        )
    )
    return make()


def nested(depth: int, opener: str) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if opener == "[" else {"a": value}
    return value


def spoil(body: dict[str, Any], random: Random) -> None:
    """Change one thing somewhere in the body."""
    holder: Any = body
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not places:
            return
        place = random.choice(places)
        inner = holder[place]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.4:
            break
        holder = inner
    _spoil_at(holder, place, random)


def _spoil_at(holder: Any, place: Any, random: Random) -> None:
    way = random.randrange(6)
    if way == 0:
        del holder[place]
    elif way == 1 and isinstance(holder, dict):
        holder[
            random.choice(("", "MODEL", "Messages", "\u017ftream", "type", "stream ", "\0", "__proto__", "a" * 300))
        ] = holder.pop(place)
    elif way == 2:
        holder[place] = [holder[place]]
    elif way == 3:
        holder[place] = json.dumps(holder[place])
    else:
        holder[place] = odd_value(random)


def encoded(value: Any, random: Random) -> bytes:
    """JSON as writers vary it; NaN, halves of surrogate pairs and endless digits included."""
    ascii_only = random.random() < 0.5
    text = json.dumps(value, ensure_ascii=ascii_only, indent=random.choice((None, None, 1)))
    return text.encode("utf-8", "surrogatepass")


def break_text(text: bytes, random: Random) -> bytes:
    """What makes a text no JSON any more, or hardly."""
    at = random.randrange(len(text) + 1)
    odd = random.choice(
        (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b",", b"}", b"]", b'"', b"\\", b"NaN", b"/*x*/", b"\n")
    )
    ways: Sequence[Callable[[], bytes]] = (
        lambda: text[:at],
        lambda: text[:at] + odd + text[at:],
        lambda: text[:at] + text[at + random.randrange(1, 9) :],
        lambda: text + random.choice((b"{}", b"x", b"\0", b",")),
        lambda: b"\xef\xbb\xbf" + text,
        lambda: text.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-32"))),
        lambda: text.replace(b'"model"', b'"model": 1, "model"', 1),
        lambda: text[:1] + b'"messages": [], "stream": "yes", ' + text[1:],
        lambda: random.choice((b"", b" ", b"\0" * 50, b"null", b"1", b'"x"', b"[]", b"[{}]", b"{", b"{}", b"<xml/>")),
        lambda: b'{"model": ' + random.choice((b"[", b'{"a":')) * random.choice((500, 2000, 50_000)),
        lambda: b'{"model": "plain/sandbox/chat", "seed": ' + b"9" * random.choice((30, 5000)) + b"}",
        lambda: b"model=plain&messages=hello",
    )
    return random.choice(ways)()


def wrong_body(random: Random) -> tuple[str, bytes]:
    """A path, and a body for it with one or more mistakes."""
    path, right, models = random.choice(ROUTES)
    body = {"model": random.choice(models), **deepcopy(right)}
    for name in [name for name in right if random.random() < 0.3 and name not in ("messages", "prompt", "input")]:
        del body[name]
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        if body:
            spoil(body, random)
    text = encoded(body, random)
    return path, break_text(text, random) if random.random() < 0.4 else text
