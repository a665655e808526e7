"""What the simulated models say: texts, pieces, dice, values for schemas."""

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.pattern import matching
from llm_service.sandbox.content.pieces import input_tokens, pieces
from llm_service.sandbox.content.schema import value_for
from llm_service.sandbox.content.text import answer_text
from llm_service.sandbox.content.vectors import vector_for


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_pieces_are_the_stated_ones() -> None:
    assert pieces("Hello, wonderful 12345 Ω!") == ["Hello", ",", " wonderf", "ul", " 123", "45", " Ω", "!"]


def test_input_tokens_are_bytes_by_four() -> None:
    assert [input_tokens(text) for text in ("", "a", "abcd", "abcde", "世")] == [0, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("echo: as it is\n  kept", "as it is\n  kept"),
        ("Repeat after me: one", "one"),
        ("Please count to 5", "1, 2, 3, 4, 5."),
        ("count from 3 to 1", "3, 2, 1."),
        ("What is 12 * 12?", "12 * 12 = 144"),
        ("And 7 / 0?", "7 / 0 = undefined"),
    ],
)
def test_prompts_with_a_known_answer(prompt: str, said: str) -> None:
    assert answer_text(prompt, Dice(b"any")) == said


def test_lengths_can_be_ordered() -> None:
    assert len(answer_text("Write 250 words about rivers", Dice(b"any")).split()) == 250


@pytest.mark.parametrize(
    "prompt", ["", "   ", "?", "a", "{braces} and {0}", "Write a function", "List three reasons", "Hello!"]
)
def test_every_prompt_has_an_answer(prompt: str) -> None:
    assert len(answer_text(prompt, Dice(b"any"))) > 10


def test_dice_fall_the_same_for_the_same_key() -> None:
    def rolled(key: bytes) -> list[object]:
        dice = Dice(key)
        return [
            dice.below(6),
            dice.between(5, 9),
            dice.word(20),
            dice.uuid(),
            dice.fork("a").hex(40),
            dice.below(1 << 40),
        ]

    assert rolled(b"one") == rolled(b"one") != rolled(b"two")


def test_dice_do_not_run_out() -> None:
    dice = Dice(b"any")
    assert {dice.below(10) for _ in range(500)} == set(range(10))


def test_words_are_different_every_time() -> None:
    dice = Dice(b"any")
    words = {dice.word(24) for _ in range(20)}
    assert len(words) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9]{24}", word) for word in words)


def test_uuids_have_version_4s_form() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", Dice(b"any").uuid())


def test_vectors_depend_on_the_seed() -> None:
    assert vector_for("same", seed=1, dimensions=8) != vector_for("same", seed=2, dimensions=8)


# Schemas.

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"unit": {"enum": ["celsius", "fahrenheit"]}}, "required": ["unit"]},
    {"type": "object", "properties": {"fixed": {"const": 7}}, "required": ["fixed"], "additionalProperties": False},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}}, "required": ["when"]},
    {"type": "string", "minLength": 30, "maxLength": 40},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}(x|yy)?$"},
    {"type": "integer", "minimum": 10, "maximum": 12},
    {"type": "integer", "exclusiveMinimum": -5, "exclusiveMaximum": -3},
    {"type": "integer", "maximum": -500},
    {"type": "integer", "minimum": 13, "maximum": 40, "multipleOf": 9},
    {"type": "number", "minimum": 0.5, "maximum": 0.75},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 5},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False, "minItems": 2},
    {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
               {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}]},
    {"$ref": "#/$defs/point",
     "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}}},
    {"type": "object", "properties": {"tree": {"$ref": "#/$defs/node"}}, "required": ["tree"],
     "$defs": {"node": {"type": "object", "required": ["name"], "properties": {
         "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_values_fit_their_schema(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for number in range(25):
        validator.validate(value_for(schema, Dice(b"%d" % number)))


def test_words_of_the_prompt_are_used() -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    assert value_for(schema, Dice(b"any"), ["Oslo"]) == {"to": "Oslo"}


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{3}-\d{4}$", r"[a-c]+", r"(foo|bar)\.txt", r"^#[0-9a-fA-F]{6}$", r"\w+@\w+\.com", r"a?b*c{2,3}", r"[^0-9]x",
     r".\sz", r"^(?:ab){2}$", r"[\w-]{4}", r"x{2,}"],
)  # fmt: skip
def test_patterns_are_matched(pattern: str) -> None:
    for number in range(10):
        text = matching(pattern, Dice(b"%d" % number))
        assert re.search(pattern, text)
        assert text != "sandbox"


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(?P<n>a)", r"\bword\b", r"(a)\1", "(", "["])
def test_patterns_beyond_us_get_a_plain_word(pattern: str) -> None:
    assert matching(pattern, Dice(b"any")) == "sandbox"
