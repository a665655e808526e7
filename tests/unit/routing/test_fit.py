"""What a request needs, and which deployments cannot give it."""

from typing import Any

import pytest

from llm_service.domain import Candidate, ModelInfo, ModelRequest, chat_request, embedding_request
from llm_service.routing import Ability, Needs, Way, unfit, window

TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


def asked(*parts: Any, **fields: Any) -> ModelRequest:
    content = [{"type": "text", "text": "Look."}, *parts] if parts else "Hello"
    return chat_request({"model": "m", "messages": [{"role": "user", "content": content}], **fields})


def a_way(**said: Any) -> Way:
    return Way(candidate=Candidate(provider="a", upstream_model="m"), **said)


def info(**said: Any) -> ModelInfo:
    return ModelInfo(id="m", owned_by="a", **said)


PICTURE = {"type": "image_url", "image_url": {"url": "https://a.test"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (asked(), ()),
        (asked(tools=[TOOL]), ("tools",)),
        (asked(functions=[{"name": "f"}]), ("tools",)),
        (asked(tools=[]), ()),
        (asked(tools=None), ()),
        (asked({"type": "image_url", "image_url": {"url": "https://a.test"}}), ("images",)),
        (asked(SOUND, SOUND), ("audio",)),
        (asked({"type": "file", "file": {}}), ("files",)),
        (asked({"type": "new"}, {}), ()),
        (asked(response_format=SCHEMA), ("json_schema",)),
        (asked(response_format={"type": "json_object"}), ()),
        (asked(response_format=None), ()),
        (embedding_request({"model": "m", "input": "Hello", "tools": [TOOL]}), ()),
    ],
)
def test_needs_are_read_from_the_request(request_: ModelRequest, needed: tuple[Ability, ...]) -> None:
    assert Needs(request_).abilities == needed


def test_a_picture_in_any_message_counts() -> None:
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.test"}}]}
    more = [{"role": "assistant", "content": "Nice."}, {"role": "user", "content": "Is it?"}]
    assert Needs(chat_request({"model": "m", "messages": [picture, *more]})).abilities == ("images",)


@pytest.mark.parametrize(
    ("fields", "cap"),
    [
        ({}, 0),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": None}, 0),
    ],
)
def test_the_cap_is_what_the_request_says(fields: dict[str, Any], cap: int) -> None:
    assert Needs(asked(**fields)).output_tokens == cap


def test_a_way_of_which_nothing_is_said_fits() -> None:
    request = asked({"type": "file", "file": {}}, tools=[TOOL], response_format=SCHEMA, max_tokens=10**6)
    assert unfit(Needs(request, input_tokens=10**6), a_way(), None) is None
    assert unfit(Needs(request, input_tokens=10**6), a_way(), info()) is None


def test_what_the_operator_says_that_it_lacks_is_lacking() -> None:
    needs = Needs(asked(tools=[TOOL]))
    said = info(parameters=("tools",))
    assert unfit(needs, a_way(lacks=("images", "tools")), said) == "lacks tools, by its settings"
    assert unfit(needs, a_way(lacks=("images",)), said) is None


@pytest.mark.parametrize(
    ("request_", "said", "reason"),
    [
        (asked(tools=[TOOL]), info(parameters=("seed",)), "lacks tools, by the provider's catalogue"),
        (asked(tools=[TOOL]), info(parameters=("seed", "tools")), None),
        (asked(tools=[TOOL]), info(input_modalities=("text",)), None),
        (
            asked(response_format=SCHEMA),
            info(parameters=("response_format",)),
            "lacks answers by a JSON schema, by the provider's catalogue",
        ),
        (asked(response_format=SCHEMA), info(parameters=("structured_outputs",)), None),
        (
            asked(PICTURE),
            info(input_modalities=("text",)),
            "lacks images, by the provider's catalogue",
        ),
        (asked(PICTURE), info(input_modalities=("text", "image")), None),
        (asked(PICTURE), info(parameters=("seed",)), None),
        (asked(SOUND), info(input_modalities=("text",)), "lacks audio, by the provider's catalogue"),
        (asked({"type": "file", "file": {}}), info(input_modalities=("text",)), None),
        (
            asked(max_tokens=101),
            info(max_output_tokens=100),
            "answers with at most 100 tokens, and the request asks for 101",
        ),
        (asked(max_tokens=100), info(max_output_tokens=100), None),
    ],
)
def test_the_catalogue_is_believed_where_it_speaks(request_: ModelRequest, said: ModelInfo, reason: str | None) -> None:
    assert unfit(Needs(request_), a_way(), said) == reason


def test_prompt_and_answer_share_the_window() -> None:
    request = asked(max_tokens=100)
    assert unfit(Needs(request, input_tokens=900), a_way(context_tokens=1000), None) is None
    reason = unfit(Needs(request, input_tokens=901), a_way(context_tokens=1000), None)
    assert reason == "has a context window of 1000 tokens, and the request takes 1001"


def test_a_prompt_that_nobody_has_counted_fits() -> None:
    assert unfit(Needs(asked()), a_way(context_tokens=1), None) is None


def test_a_count_may_come_later() -> None:
    needs = Needs(asked())
    needs.input_tokens = 2
    assert unfit(needs, a_way(context_tokens=1), None) is not None


def test_the_operators_window_goes_before_the_catalogues() -> None:
    assert window(a_way(context_tokens=5), info(context_tokens=9)) == 5
    assert window(a_way(), info(context_tokens=9)) == 9
    assert window(a_way(), info()) is None
    assert window(a_way(), None) is None


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({}, None),
        ({"team": "us"}, None),
        ({"route": "eu"}, None),
        ({"route": "us"}, "has no tag `us`"),
        ({"route": ""}, "has no tag ``"),
    ],
)
def test_a_request_with_a_route_goes_only_where_its_word_is(tags: dict[str, str], reason: str | None) -> None:
    assert unfit(Needs(asked(), tags=tags), a_way(tags=("eu", "fast")), None) == reason
