"""Two requests have one digest if and only if they say the same: held against a slow and plain reading of JSON."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from fractions import Fraction
from random import Random
from typing import Any
from unicodedata import normalize

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_service.cache import Address, CacheOptions, CachePolicy, digest_of
from llm_service.domain import Caller, Operation, chat_request
from tests.support.records import key

Path = tuple[str | int, ...]

DEPLOYMENTS: tuple[Address, ...] = (("plain", "http://127.0.0.1:1/v1", "small"),)
TRANSPORT = {
    ("stream",),
    ("stream_options",),
    ("stream_options", "include_usage"),
    ("stream_options", "include_obfuscation"),
}
MARK = "\N{SNOWMAN} nothing else has this value"

texts = st.text(
    st.sampled_from('aeuAEfi ü\N{LATIN SMALL LETTER E WITH ACUTE}\u0308\u0301\u0323\u212b漢🙂"\\\n.0,]}'), max_size=6
)
names = st.one_of(st.sampled_from(("a", "stream", "include_usage", "type", "temperature")), texts)
integers = st.integers(-(2**63), 2**64 - 1)
numbers = st.one_of(
    st.integers(-3, 3),
    integers,
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((-0.0, 1.0, 1e3, 2.0**53, 1e22)),
)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)

tool_calls = st.fixed_dictionaries(
    {"id": texts, "type": st.just("function"), "function": st.fixed_dictionaries({"name": texts, "arguments": texts})}
)
parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": texts, "detail": texts})}
    ),
)
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(("system", "user", "assistant", "tool")),
        "content": st.one_of(texts, st.none(), st.lists(parts, max_size=2)),
    },
    optional={"name": texts, "tool_calls": st.lists(tool_calls, max_size=2), "tool_call_id": texts, "new": anything},
)
tools = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": texts, "parameters": anything, "strict": st.booleans()}),
    }
)
sampling: Mapping[str, st.SearchStrategy[Any]] = {
    "models": st.lists(texts, max_size=2),
    "user": texts,
    "stream": st.booleans(),
    "stream_options": st.dictionaries(st.sampled_from(("include_usage", "include_obfuscation", "new")), scalars),
    "temperature": numbers,
    "top_p": numbers,
    "frequency_penalty": numbers,
    "presence_penalty": numbers,
    "n": integers,
    "seed": integers,
    "max_tokens": integers,
    "max_completion_tokens": integers,
    "stop": st.one_of(texts, st.lists(texts, max_size=2)),
    "logit_bias": st.dictionaries(texts, numbers, max_size=2),
    "logprobs": st.one_of(st.booleans(), integers),
}
chats = st.fixed_dictionaries(
    {"model": texts, "messages": st.lists(messages, min_size=1, max_size=3)},
    optional={
        **sampling,
        "tools": st.lists(tools, max_size=2),
        "tool_choice": st.one_of(texts, anything),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.dictionaries(names, anything, max_size=2),
        "top_logprobs": integers,
        "reasoning_effort": texts,
        "metadata": st.dictionaries(texts, texts, max_size=2),
        "provider": anything,
        "unknown": anything,
    },
)
completions = st.fixed_dictionaries(
    {"model": texts, "prompt": st.one_of(texts, st.lists(texts, max_size=2), st.lists(integers, max_size=3))},
    optional={**sampling, "suffix": texts, "best_of": integers, "echo": st.booleans(), "unknown": anything},
)
embeddings = st.fixed_dictionaries(
    {"model": texts, "input": st.one_of(texts, st.lists(texts, max_size=2), st.lists(integers, max_size=3))},
    optional={"dimensions": integers, "encoding_format": texts, "user": texts, "unknown": anything},
)
requests = st.one_of(
    st.tuples(st.just("chat"), chats),
    st.tuples(st.just("completion"), completions),
    st.tuples(st.just("embedding"), embeddings),
)


class SameName(Exception):
    """Two names of an object are the same text."""


def meaning(value: Any) -> Any:
    """What a JSON value says, in a form that can be compared."""
    match value:
        case bool() | None:
            return (type(value).__name__, value)
        case str():
            return ("text", normalize("NFC", value))
        case int() | float():
            exact = isinstance(value, int) or abs(value) < 2**53
            return ("number", Fraction(value)) if exact else ("large", value)
        case list():
            return ("list", tuple(map(meaning, value)))
        case _:
            members = {normalize("NFC", name): meaning(member) for name, member in value.items()}
            if len(members) < len(value):
                raise SameName
            return ("object", frozenset(members.items()))


def said(body: dict[str, Any]) -> Any:
    """What a request says, however its answer is to be sent; ``None`` where it can be read in two ways."""
    rest = {name: value for name, value in body.items() if name != "stream"}
    options = rest.pop("stream_options", {})
    options = {name: value for name, value in options.items() if not name.startswith("include_")}
    try:
        return meaning({**rest, "stream_options": options} if options else rest)
    except SameName:
        return None


def digest(operation: Operation, body: dict[str, Any]) -> bytes | None:
    return digest_of(operation, body, scope="key:a", deployments=DEPLOYMENTS)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Of everything in a value, the outermost first."""
    members: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*at, name)
        yield from paths(member, (*at, name))


def variants(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The body with one value changed, removed or made null, or with one more, wherever there is a place for it."""
    for path in paths(body):
        if path not in TRANSPORT:
            for change in (replace, remove, nullify, append):
                yield change(deepcopy(body), path)
    yield {**body, MARK: None}


def holder(body: dict[str, Any], path: Path) -> Any:
    value: Any = body
    for step in path[:-1]:
        value = value[step]
    return value


def replace(body: dict[str, Any], path: Path) -> dict[str, Any]:
    holder(body, path)[path[-1]] = MARK
    return body


def nullify(body: dict[str, Any], path: Path) -> dict[str, Any]:
    holder(body, path)[path[-1]] = None
    return body


def remove(body: dict[str, Any], path: Path) -> dict[str, Any]:
    del holder(body, path)[path[-1]]
    return body


def append(body: dict[str, Any], path: Path) -> dict[str, Any]:
    match value := holder(body, path)[path[-1]]:
        case dict():
            value[MARK] = None
        case list():
            value.append(None)
        case _:
            holder(body, path)[path[-1]] = [value]
    return body


def respelled(value: Any, chance: Random) -> Any:
    """The same value, written in another way."""
    match value:
        case str():
            return normalize(chance.choice(("NFC", "NFD")), value)
        case bool() | None:
            return value
        case int() | float():
            exact = abs(value) < 2**53 and value == int(value)
            return chance.choice((int, float))(value) if exact else value
        case list():
            return [respelled(item, chance) for item in value]
        case _:
            members = [(respelled(name, chance), respelled(member, chance)) for name, member in value.items()]
            chance.shuffle(members)
            return dict(members)


@given(request=requests)
def test_whatever_is_changed_added_or_removed_changes_the_digest(request: tuple[Operation, dict[str, Any]]) -> None:
    operation, body = request
    own, own_digest = said(body), digest(operation, body)
    assert (own is None) == (own_digest is None)
    assume(own is not None)
    for variant in variants(body):
        assert (digest(operation, variant) == own_digest) is (said(variant) == own), variant


@given(request=requests, chance=st.randoms(use_true_random=False), spaces=st.sampled_from((None, 2)))
def test_how_it_is_written_and_sent_does_not(
    request: tuple[Operation, dict[str, Any]], chance: Random, spaces: int | None
) -> None:
    operation, body = request
    made = digest(operation, body)
    assume(made is not None)
    other = respelled(body, chance)
    other["stream"] = chance.choice((True, False))
    other.setdefault("stream_options", {})["include_usage"] = chance.choice((True, False))
    text = json.dumps(other, indent=spaces, ensure_ascii=chance.choice((True, False)))
    assert digest(operation, orjson.loads(text)) == made


@given(one=requests, other=requests)
def test_two_requests_have_one_digest_only_if_they_say_the_same(
    one: tuple[Operation, dict[str, Any]], other: tuple[Operation, dict[str, Any]]
) -> None:
    same = one[0] == other[0] and said(one[1]) == said(other[1])
    made = digest(*one)
    assume(made is not None)
    assert (made == digest(*other)) is same


tenants = st.tuples(
    st.sampled_from(("a", "b", "user:a", "key:a", "global")),
    st.one_of(st.none(), st.sampled_from(("a", "b", "key:a", "global", ""))),
    st.booleans(),
)


@given(scope=st.sampled_from(("key", "user")), one=tenants, other=tenants)
def test_two_tenants_never_share_a_digest(
    scope: Any, one: tuple[str, str | None, bool], other: tuple[str, str | None, bool]
) -> None:
    policy = CachePolicy(CacheOptions(scope=scope), ttls_s={}, address=lambda candidate: ("", "", ""))
    request = chat_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})

    def digest_for(key_id: str, user: str | None, is_own: bool) -> bytes | None:
        issued = key(key_id, user=user) if is_own else None
        caller = Caller(key_id=key_id, scopes=frozenset({"inference"}), key=issued)
        plan = policy.plan(request, candidates=(), caller=caller, user=user)
        return plan and plan.digest

    def tenant(key_id: str, user: str | None, is_own: bool) -> object:
        if scope == "key" or user is None:
            return key_id
        return (user,) if is_own else (key_id, user)

    assert (digest_for(*one) == digest_for(*other)) is (tenant(*one) == tenant(*other))


cuts = st.lists(st.integers(0, 12), min_size=4, max_size=4).map(sorted)


@given(text=st.text(st.sampled_from('ab"\\[],\n{}0'), min_size=4, max_size=12), one=cuts, other=cuts)
def test_no_part_can_pass_for_a_piece_of_its_neighbour(text: str, one: list[int], other: list[int]) -> None:
    def pieces(at: list[int]) -> tuple[str, ...]:
        return tuple(text[begin:end] for begin, end in zip((0, *at), (*at, None), strict=True))

    def digest_with(scope: str, version: str, *address: str) -> bytes | None:
        deployments: Any = (address,)
        return digest_of("chat", {}, scope=scope, policy_version=version, deployments=deployments)

    assert (digest_with(*pieces(one)) == digest_with(*pieces(other))) is (pieces(one) == pieces(other))


@given(
    one=st.lists(st.tuples(*[st.sampled_from(("a", "b"))] * 3), max_size=3),
    other=st.lists(st.tuples(*[st.sampled_from(("a", "b"))] * 3), max_size=3),
)
def test_deployments_count_in_their_order(one: list[Address], other: list[Address]) -> None:
    assert (digest_of("chat", {}, scope="", deployments=one) == digest_of("chat", {}, scope="", deployments=other)) is (
        one == other
    )
