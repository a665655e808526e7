"""Model names and objects become behaviours, and slips are noticed."""

import pytest

from llm_service.sandbox.behaviour import NORMAL, BadBehaviour, Behaviour
from llm_service.sandbox.forms import GROUPS, grammar


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o-mini", "sandbox/chat", "sandbox-anything", "sandbox/fast"])
def test_names_without_a_form_are_normal(model: str) -> None:
    assert grammar().of_model(model) is NORMAL


@pytest.mark.parametrize(
    "model", ["sandbox/slow-head-1500ms+cut-after-3+crlf", "sandbox-slow-head-1.5s+cut-after+crlf"]
)
def test_forms_are_joined_by_plus(model: str) -> None:
    assert dict(grammar().of_model(model).values) == {"slow-head": 1.5, "cut-after": 3, "crlf": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pace-20ms", 0.02),
        ("pace-2", 2.0),
        ("pace-1m", 60.0),
        ("bulk-3kb", 3072),
        ("bulk", 64 * 1024 * 1024),
        ("split-1", 1),
        ("error-429-free-daily", "429-free-daily"),
        ("error-first-503", "503"),
    ],
)
def test_arguments_have_units(text: str, value: object) -> None:
    assert list(grammar().of_text(text).values.values()) == [value]


def test_longer_names_win_over_shorter_ones() -> None:
    assert list(grammar().of_text("keep-alive-every-50ms").values) == ["keep-alive-every"]


@pytest.mark.parametrize("model", ["sandbox/eror-429", "sandbox/cutt-after-3", "sandbox/crlf+nonsense"])
def test_slips_are_refused_with_a_suggestion(model: str) -> None:
    with pytest.raises(BadBehaviour, match="unknown sandbox behaviour"):
        grammar().of_model(model)


@pytest.mark.parametrize("text", ["error", "slow-head-fast", "split-x", "bulk-1tb"])
def test_wrong_arguments_are_refused(text: str) -> None:
    with pytest.raises(BadBehaviour, match="needs"):
        grammar().of_text(text)


def test_objects_take_either_spelling_and_numbers() -> None:
    behaviour = grammar().of_object({"cut_after": 2, "slow-head": 0.5, "crlf": True, "cr": False, "bom": None})
    assert dict(behaviour.values) == {"cut-after": 2, "slow-head": 0.5, "crlf": True}


def test_objects_with_unknown_names_are_refused() -> None:
    with pytest.raises(BadBehaviour, match="cut-after"):
        grammar().of_object({"cut_afterr": 2})


def test_the_upper_behaviour_holds_where_both_speak() -> None:
    upper, lower = Behaviour({"pace": 1.0, "bom": True}), Behaviour({"pace": 2.0, "cr": True})
    assert dict(upper.over(lower).values) == {"pace": 1.0, "bom": True, "cr": True}


def test_behaviours_are_written_as_they_are_read() -> None:
    text = "cut-after-3+crlf+error-429"
    assert grammar().of_text(text).text() == text


def test_no_form_has_two_rows() -> None:
    names = [form.name for group in GROUPS.values() for form in group]
    assert len(names) == len(set(names))
