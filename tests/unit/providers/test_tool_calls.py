"""Fragments of tool calls, in the ways in which servers number and name them."""

from typing import Any

import pytest

from llm_service.providers.tool_calls import ToolCalls, whole_calls


def fragment(index: int | None = None, call_id: Any = None, name: Any = None, arguments: Any = "") -> dict[str, Any]:
    told = {"index": index, "id": call_id, "type": "function" if name else None}
    function = {"name": name, "arguments": arguments}
    return {
        **{key: value for key, value in told.items() if value is not None},
        "function": {key: value for key, value in function.items() if value is not None},
    }


def opened(index: int, call_id: str, name: str, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def continued(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


def test_fragments_in_good_form_are_left_as_they_are() -> None:
    told = [opened(0, "a", "f"), continued(0, "{"), opened(1, "b", "g", "{}"), continued(0, "}")]
    calls = ToolCalls("seed")
    assert [calls.normalise([one]) for one in told] == [[one] for one in told]


Telling = tuple[list[dict[str, Any]], list[tuple[str | None, str, str]]]
A_THEN_B = [("a", "f", ""), ("b", "g", "")]
TELLINGS: dict[str, Telling] = {
    "id and name repeated": ([fragment(0, "a", "f", "{"), fragment(0, "a", "f", "}")], [("a", "f", "{}")]),
    "new id at the same index": ([fragment(0, "a", "f"), fragment(0, "b", "g")], A_THEN_B),
    "name without id at the same index": (
        [fragment(0, "a", "f"), fragment(0, "", "g")],
        [("a", "f", ""), (None, "g", "")],
    ),
    "no index": ([fragment(None, "a", "f"), fragment(None, "b", "g")], A_THEN_B),
    "no index, no id": ([fragment(None, "", "f"), fragment(None, None, "g")], [(None, "f", ""), (None, "g", "")]),
    "continued without index": ([fragment(None, "a", "f"), fragment(arguments="{}")], [("a", "f", "{}")]),
    "told apart by id alone": (
        [fragment(None, "a", "f"), fragment(None, "b", "g"), fragment(None, "a", arguments="{}")],
        [("a", "f", "{}"), ("b", "g", "")],
    ),
    "indexes with gaps": (
        [fragment(3, "a", "f"), fragment(3, arguments="{}"), fragment(7, "b", "g")],
        [("a", "f", "{}"), ("b", "g", "")],
    ),
    "arguments as an object": ([fragment(0, "a", "f", {"x": 1})], [("a", "f", '{"x":1}')]),
    "no arguments at all": ([fragment(0, "a", "f", None)], [("a", "f", "")]),
    "name after the id": ([fragment(0, "a"), fragment(0, name="f"), fragment(0, arguments="{}")], [("a", "f", "{}")]),
    "id after the name": ([fragment(0, None, "f"), fragment(0, "a", arguments="{}")], [(None, "f", "{}")]),
}


@pytest.mark.parametrize(("told", "expected"), TELLINGS.values(), ids=TELLINGS)
def test_calls_are_dense_with_one_id_and_one_name_each(told: Any, expected: list[tuple[str | None, str, str]]) -> None:
    calls = ToolCalls("seed")
    gathered: list[dict[str, Any]] = []
    for one in (made for each in told for made in calls.normalise([each])):
        if one["index"] == len(gathered):
            gathered.append({"name": "", "arguments": "", "id": one["id"]})
        else:
            assert not one.keys() & {"id", "type"}
        for key, text in one["function"].items():
            gathered[one["index"]][key] += text
    own = [call["id"] if call_id is None else call_id for call, (call_id, _, _) in zip(gathered, expected, strict=True)]
    assert [tuple(call[key] for key in ("id", "name", "arguments")) for call in gathered] == [
        (call_id, name, arguments) for call_id, (_, name, arguments) in zip(own, expected, strict=True)
    ]
    assert len(set(own)) == len(own)


def test_own_ids_are_the_same_for_the_same_call_and_fit_every_client() -> None:
    first, again = (ToolCalls("req/0").normalise([fragment(0, "", "f")])[0]["id"] for _ in range(2))
    (other,) = ToolCalls("req/1").normalise([fragment(0, "", "f")])
    assert first == again != other["id"]
    assert len(first) <= 40


def test_further_members_of_a_fragment_are_kept() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    (made,) = ToolCalls("seed").normalise([{**fragment(None, "a", "f"), **extra}])
    assert made == {**opened(0, "a", "f"), **extra}


def test_custom_tools_keep_their_own_shape() -> None:
    calls = ToolCalls("seed")
    told = {"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}
    assert calls.normalise([told]) == [{"index": 0, **told}]
    assert calls.normalise([{"index": None, "custom": {"input": "y"}}]) == [{"index": 0, "custom": {"input": "y"}}]
    assert calls.complete() == []


def test_calls_without_arguments_get_the_empty_object_once() -> None:
    calls = ToolCalls("seed")
    calls.normalise([opened(0, "a", "f"), opened(1, "b", "g", "{}")])
    assert calls.complete() == [continued(0, "{}")]
    assert calls.complete() == []


def test_whole_calls_have_ids_and_arguments_that_are_json() -> None:
    told = [{"function": {"name": "f", "arguments": ""}, "index": 0}, opened(1, "b", "g", '{"x":1}'), "junk"]
    first, second = whole_calls(told, "seed")
    assert first["id"].startswith("call_")
    assert first["function"] == {"name": "f", "arguments": "{}"}
    assert second == told[1]
