"""A request before its filters: what is refused, what is masked, and what is said of it."""

from copy import deepcopy
from typing import Any

import orjson
import pytest

from llm_service.domain import ModelRequest, Verdict, chat_request, completion_request, embedding_request
from llm_service.filters import LocalFilter, Screened, scores, screened
from tests.support.finding import Broken, Hearing, a_filter

FAILURES: list[tuple[str, Exception]] = []


def chat(*contents: Any, **fields: Any) -> ModelRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": content} for content in contents], **fields}
    return chat_request(body, len(orjson.dumps(body)))


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def screen(request: ModelRequest, *filters: LocalFilter, **how: Any) -> Screened:
    before = deepcopy(request.body)
    found = screened(filters, request, lambda name, defect: FAILURES.append((name, defect)), **how)
    assert request.body == before
    return found


def verdict(**fields: Any) -> Verdict:
    usual: dict[str, Any] = {"filter": "own", "type": "keywords", "on": "input", "action": "block"}
    return Verdict(**{**usual, "labels": ("word",), **fields})


WHERE = {
    "a message": (chat("a", "my red car"), "messages[1]"),
    "a part": (chat([*parts("a", "red")]), "messages[0]"),
    "a word over parts": (chat([*parts("my r", "e", "d car")]), "messages[0]"),
    "a word over parts with an image between": (
        chat([*parts("my re"), {"type": "image_url", "image_url": {"url": "https://x"}}, *parts("d")]),
        "messages[0]",
    ),
    "a name": (
        chat_request({"model": "m", "messages": [{"role": "user", "name": "red", "content": "a"}]}),
        "messages[0]",
    ),
    "arguments": (
        chat_request(
            {
                "model": "m",
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"function": {"name": "f", "arguments": '{"a": "\\u0072ed"}'}}],
                    }
                ],
            }
        ),
        "messages[0]",
    ),
    "a tool": (chat("a", tools=[{"type": "function", "function": {"name": "f", "description": "red"}}]), "tools[0]"),
    "a parameter's name": (
        chat("a", tools=[{"type": "function", "function": {"name": "f", "parameters": {"properties": {"red": {}}}}}]),
        "tools[0]",
    ),
    "a schema": (chat("a", response_format={"type": "json_schema", "json_schema": {"name": "red"}}), "response_format"),
    "a field that nobody knows": (chat("a", guidance={"deep": ["red"]}), None),
    "the name of such a field": (chat("a", red=1), None),
    "a prompt": (completion_request({"model": "m", "prompt": "red"}), "prompt"),
    "one of several prompts": (completion_request({"model": "m", "prompt": ["a", "red"]}), "prompt[1]"),
    "a suffix": (completion_request({"model": "m", "prompt": "a", "suffix": "red"}), "suffix"),
    "an input": (embedding_request({"model": "m", "input": ["red"]}), "input[0]"),
    "parts with something between them": (
        chat([{"type": "text", "text": "r", "x": "."}, {"type": "text", "text": "ed"}]),
        "messages[0]",
    ),
    "parts of reasoning": (
        chat_request({"model": "m", "messages": [{"role": "assistant", "reasoning_details": parts("r", "ed")}]}),
        "messages[0]",
    ),
    "parts of an input": (embedding_request({"model": "m", "input": [{"content": parts("r", "ed")}]}), "input[0]"),
    "no word of the protocol": (chat("a", reasoning_effort="red"), "reasoning_effort"),
    "no type": (chat([{"type": "red", "text": "a"}]), "messages[0]"),
    "no id": (
        chat_request({"model": "m", "messages": [{"role": "tool", "tool_call_id": "a red 1", "content": "a"}]}),
        "messages[0]",
    ),
    "no signature": (
        chat_request({"model": "m", "messages": [{"role": "user", "reasoning_details": [{"signature": "a red"}]}]}),
        "messages[0]",
    ),
    "no kind of data": (
        chat([{"type": "image_url", "image_url": {"url": "data:a red car;base64,aaaa"}}]),
        "messages[0]",
    ),
    "a result in JSON": (
        chat_request({"model": "m", "messages": [{"role": "tool", "name": "f", "content": '{"a": "\\u0072ed"}'}]}),
        "messages[0]",
    ),
    "arguments whose escape takes a letter away": (
        chat_request(
            {
                "model": "m",
                "messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "\\red"}}],
            }
        ),
        "messages[0]",
    ),
    "an address": (chat([{"type": "image_url", "image_url": {"url": "https://red.example"}}]), "messages[0]"),
}


@pytest.mark.parametrize("case", WHERE)
def test_what_is_blocked_is_found_wherever_a_model_could_read_it(case: str) -> None:
    request, where = WHERE[case]
    found = screen(request, a_filter("red"))
    assert (found.blocked, found.where) == (verdict(count=found.verdicts[0].count), where)
    assert found.outgoing is None


@pytest.mark.parametrize(
    "request_",
    [
        chat("a", user="red"),
        chat_request({"model": "red", "messages": [{"role": "user", "content": "a"}]}),
        chat([{"type": "input_audio", "input_audio": {"data": "redred==", "format": "wav"}}]),
        chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,redd"}}]),
        chat_request({"model": "m", "messages": [{"role": "tool", "tool_call_id": "call_red1", "content": "a"}]}),
        chat("a r", "ed"),
    ],
)
def test_what_no_model_reads_is_left_out(request_: ModelRequest) -> None:
    assert screen(request_, a_filter("red")) == Screened()


def test_masks_stand_in_a_copy_that_is_sent() -> None:
    request = chat("to jo@x and al@y", [*parts("jo", "@x"), {"type": "image_url", "image_url": {"url": "https://x"}}])
    found = screen(request, a_filter("jo@x", "al@y", label="email", action="mask", type="pii"))
    assert found.outgoing is not None
    first, second = found.outgoing.body["messages"]
    assert first["content"] == "to [EMAIL] and [EMAIL]"
    assert [part.get("text") for part in second["content"]] == ["[EMAIL]", "", None]
    assert found.verdicts == (verdict(type="pii", action="mask", labels=("email",), count=3),)
    assert found.outgoing.body["messages"][1]["content"][2] is request.body["messages"][1]["content"][2]


def test_reversible_masks_are_numbered_through_the_whole_request_beside_those_that_stand_there() -> None:
    request = chat("jo@x and [EMAIL_1]", "al@y, jo@x")
    found = screen(request, a_filter("jo@x", "al@y", label="email", action="mask", reversible=True))
    assert found.outgoing is not None
    assert found.masks is not None
    told = [message["content"] for message in found.outgoing.body["messages"]]
    assert told[0].endswith(" and [EMAIL_1]")
    assert "[EMAIL_1]" not in told[1]
    assert [found.masks.restore(text) for text in told] == ["jo@x and [EMAIL_1]", "al@y, jo@x"]


def test_a_placeholder_that_parts_of_a_prompt_make_together_stands_for_nothing() -> None:
    request = chat([*parts("jo@x", "[EMAIL", "_1]")])
    found = screen(request, a_filter("jo@x", label="email", action="mask", reversible=True))
    assert found.masks is not None
    assert found.masks.restore("[EMAIL_1] [EMAIL_2]") == "[EMAIL_1] jo@x"


def test_what_is_masked_as_json_reads_stays_json() -> None:
    said = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": "\\njo\\u0040x"}'}}
    found = screen(
        chat_request({"model": "m", "messages": [said]}), a_filter("jo@x", "njo", label="email", action="mask")
    )
    assert found.outgoing is not None
    assert found.outgoing.body["messages"][0]["function_call"]["arguments"] == '{"a": "\\n[EMAIL]"}'


def test_the_length_of_what_is_sent_bounds_its_texts() -> None:
    short, long = chat("a@b " * 50), chat("someone.with.a.long.name@example.com")
    mask = a_filter("a@b", "someone.with.a.long.name@example.com", label="address", action="mask")
    for request in (short, long):
        sent = screen(request, mask).outgoing
        assert sent is not None
        assert sent.body_bytes >= max(request.body_bytes, len(orjson.dumps(sent.body)))
    assert sent.body_bytes == long.body_bytes


def test_names_of_members_are_masked_as_well() -> None:
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"properties": {"jo@x": {"description": "of jo@x"}}}},
        }
    ]
    found = screen(chat("a", tools=tools), a_filter("jo@x", label="email", action="mask"))
    assert found.outgoing is not None
    (tool,) = found.outgoing.body["tools"]
    assert tool["function"]["parameters"]["properties"] == {"[EMAIL]": {"description": "of [EMAIL]"}}


def test_what_is_only_reported_passes() -> None:
    found = screen(chat("red", [*parts("re", "d")], [*parts("red", "red")]), a_filter("red", action="report"))
    assert found == Screened(verdicts=(verdict(action="report", count=4),))


def test_nothing_further_is_looked_at_behind_what_blocks_unless_all_is_wanted() -> None:
    heard = Hearing()
    filters = a_filter("red"), a_filter(name="hearing", action="report", type="regex")
    object.__setattr__(filters[1], "detector", heard)
    assert screen(chat("a", "red", "b"), *filters).blocked == verdict()
    assert heard.heard == ["a", "red"]
    assert screen(chat("a", "red", "b red"), *filters, thorough=True).blocked == verdict(count=2)


@pytest.mark.parametrize(("on_failure", "blocked"), [("closed", True), ("open", False)])
@pytest.mark.parametrize("what", ["broken", "token ids"])
def test_what_cannot_be_judged_passes_or_not_as_the_filter_says(on_failure: Any, blocked: bool, what: str) -> None:
    FAILURES.clear()
    one = a_filter("red", on_failure=on_failure)
    request = completion_request({"model": "m", "prompt": [1, 2]})
    if what == "broken":
        object.__setattr__(one, "detector", Broken())
        request = chat("a secret text")
    found = screen(request, one)
    assert found.verdicts == (verdict(labels=(), failed=True, action="block" if blocked else "report"),)
    assert found.blocked == (found.verdicts[0] if blocked else None)
    assert [name for name, _ in FAILURES] == ["own"] * (what == "broken")


def test_a_body_of_many_places_is_masked_in_time_that_grows_with_it() -> None:
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"properties": {f"jo@x {number}": {} for number in range(3000)}}},
        }
    ]
    found = screen(
        chat([*parts(*["jo@x"] * 3000)], tools=tools), a_filter("jo@x", label="email", action="mask", reversible=True)
    )
    assert found.outgoing is not None
    assert len(found.outgoing.body["tools"][0]["function"]["parameters"]["properties"]) == 3000
    assert found.verdicts[0].count == 6000


def test_scores_are_those_of_the_worst_part() -> None:
    one = a_filter("red", "blue", name="weighing")
    assert scores([one], chat("red", "a", "red blue")) == {"weighing": 1.0}
    assert scores([one], chat("red")) == {"weighing": 0.5}
