"""Every text of a body is judged, but for what is on a list; and other texts make another body."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters.walk import (
    HARMLESS,
    IDS,
    KNOWN_NAMES,
    MEDIA,
    PROTOCOL,
    WORDS,
    Leaf,
    copied,
    has_token_ids,
    is_base64,
    is_id,
    spread,
    units,
)

NAMES = st.sampled_from(
    "model models messages role content text type id tool_calls function image_url url data user other * ".split()
) | st.text(max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=20,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str, bool]]:
    """Everything that is a text in a body, and the names of members."""
    if isinstance(value, str):
        yield path, value, False
    for name, member in value.items() if isinstance(value, Mapping) else ():
        yield (*path, name), name, True
        yield from texts(member, (*path, name))
    for number, item in enumerate(value) if isinstance(value, list) else ():
        yield from texts(item, (*path, number))


def is_listed(path: tuple[str | int, ...], text: str) -> bool:
    place = ".".join("*" if isinstance(step, int) else f"{step!r}" if "*" in step else step for step in path)
    if place in WORDS:
        return text in PROTOCOL
    return place in HARMLESS or (place in IDS and is_id(text)) or (place in MEDIA and is_base64(text))


@settings(max_examples=40)
@given(BODIES)
def test_every_text_is_judged_or_on_the_list(body: dict[str, Any]) -> None:
    judged = {(leaf.path, leaf.is_name) for unit in units(body) for leaf in unit.leaves}
    expected = {
        (path, is_name)
        for path, text, is_name in texts(body)
        if (text not in KNOWN_NAMES if is_name else text and not is_listed(path, text))
    }
    assert judged == expected


@settings(max_examples=40)
@given(BODIES, st.data())
def test_a_copy_has_the_other_texts_and_the_original_none(body: dict[str, Any], data: st.DataObject) -> None:
    before = deepcopy(body)
    leaves = [leaf for unit in units(body) for leaf in unit.leaves if not leaf.is_name]
    for leaf in leaves:
        leaf.text = data.draw(st.text(max_size=3))
    made = copied(body, leaves)
    assert body == before
    found = {path: text for path, text, is_name in texts(made) if not is_name}
    assert all(found[leaf.path] == leaf.text for leaf in leaves)
    others = {path: text for path, text, is_name in texts(body) if not is_name}
    assert {path: others[path] for path in others.keys() - {leaf.path for leaf in leaves}}.items() <= found.items()


@settings(max_examples=40)
@given(BODIES)
def test_names_that_become_the_same_lose_nobody(body: dict[str, Any]) -> None:
    leaves = [leaf for unit in units(body) for leaf in unit.leaves if leaf.is_name]
    for leaf in leaves:
        leaf.text = "[NAME]"
    made = copied(body, leaves)
    assert sorted(repr(value) for path, value, is_name in texts(made) if not is_name) == sorted(
        repr(value) for path, value, is_name in texts(body) if not is_name
    )


TEXTS = st.lists(st.text("ab", max_size=4), min_size=1, max_size=5)


@given(TEXTS, st.integers(0, 1), st.data())
def test_an_edit_over_several_texts_stands_in_the_first_and_takes_from_the_others(
    parts: list[str], gap: int, data: st.DataObject
) -> None:
    joined = ("\n" * gap).join(parts)
    points = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=6, unique=True)))
    edits = [(begin, end, "X") for begin, end in zip(points[::2], points[1::2], strict=False)]
    leaves = [Leaf(None, number, part) for number, part in enumerate(parts)]
    spread(leaves, edits, gap=gap)
    gone = {place for begin, end, _ in edits for place in range(begin, end)}
    at, kept = 0, []
    for part in parts:
        kept.append("".join(character for place, character in enumerate(part, at) if place not in gone))
        at += len(part) + gap
    assert [leaf.text.replace("X", "") for leaf in leaves] == kept
    inside = {place for place in gone if joined[place] != "\n" or not gap}
    touched = sum(any(place in inside for place in range(begin, end)) for begin, end, _ in edits)
    assert sum(leaf.text.count("X") for leaf in leaves) == touched


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aGVsbG8=", True),
        ("data:image/png;base64,aGVsbG8=", True),
        ("data:text/plain,forbidden words", False),
        ("data:image/png;base64,forbidden words", False),
        ("https://example.com/a", False),
        ("", True),
    ],
)
def test_data_is_base64_and_nothing_else(text: str, expected: bool) -> None:
    assert is_base64(text) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"prompt": [1, 2]}, True),
        ({"input": [[1, 2], [3]]}, True),
        ({"input": ["a", [3]]}, True),
        ({"prompt": "", "prompt_embeds": "AAAA"}, True),
        ({"messages": [], "prompt_token_ids": [1]}, True),
        ({"prompt": "a"}, False),
        ({"input": ["a", "b"]}, False),
        ({"input": [True]}, False),
        ({"messages": [1]}, False),
    ],
)
def test_numbers_of_tokens_are_known(body: dict[str, Any], expected: bool) -> None:
    assert has_token_ids(body) is expected


def test_parts_of_a_content_are_told_apart_from_addresses() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://b"}}]
    (unit,) = units({"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "c"}]}]})
    assert [leaf.text for leaf in unit.leaves] == ["a", "https://b", "c"]
    assert [[leaf.text for leaf in row] for row in unit.joined] == [["a", "c"]]


@pytest.mark.parametrize("other", ["x", "name", "refusal"])
def test_what_stands_beside_the_text_of_a_part_does_not_come_between_two_of_them(other: str) -> None:
    parts = [{"type": "text", "text": "a", other: "b"}, {"type": "text", "text": "c"}]
    (unit,) = units({"messages": [{"role": "user", "content": parts}]})
    assert [[leaf.text for leaf in row] for row in unit.joined] == [["a", "c"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("call_a1", True), ("toolu_01AbC", True), ("0f8fad5b-d9cb-469f", True), ("red", False), ("12345", False),
     ("a red 1", False), ("jo@x1", False), ("", False)],
)  # fmt: skip
def test_an_id_has_letters_and_digits_and_no_blanks(text: str, expected: bool) -> None:
    assert is_id(text) is expected
