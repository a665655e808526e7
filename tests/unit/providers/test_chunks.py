"""What the stream reader holds back, passes as it is, mends, and refuses."""

import json
from typing import Any

import pytest

from llm_service.domain import LLMServiceError, StreamInterrupted, UpstreamError, UpstreamInvalidResponse
from llm_service.providers.catalog import SERVERS, Server
from llm_service.providers.chunks import StreamReader
from llm_service.providers.complaints import complaint
from llm_service.providers.failures import error_of, failed_finish, verdict
from tests.support.transcripts import a_call

ENVELOPE: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1790000000, "model": "acme-1"}


def fail(told: object) -> LLMServiceError:
    if isinstance(told, str):
        return failed_finish(told)
    said = complaint(told)
    return error_of(said, verdict(said))


def a_reader(server: str | Server = "generic", operation: str = "chat") -> StreamReader:
    row = SERVERS[server] if isinstance(server, str) else server
    return StreamReader(a_call(operation, stream=True), server=row, fail=fail)


def a_chunk(delta: Any = None, finish: str | None = None, **top: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return json.dumps({**ENVELOPE, "choices": [choice], **top}, separators=(",", ":")).encode()


def test_good_chunk_passes_byte_for_byte() -> None:
    reader = a_reader()
    data = [a_chunk({"role": "assistant", "content": "a"}), a_chunk({"content": "b"}), a_chunk({"content": ""})]
    assert [event.raw for one in data for event in reader.read(one)] == data


def test_chunk_over_several_lines_leaves_on_one() -> None:
    reader = a_reader()
    data = [a_chunk({"role": "assistant", "content": "a\nb"}), a_chunk({"content": "b"})]
    events = [event for one in data for event in reader.read(one.replace(b'"choices"', b'\n  "choices"'))]
    assert [b"\n" in event.raw for event in events] == [False, False]
    assert [json.loads(event.raw) for event in events] == [json.loads(one) for one in data]


def test_event_brings_its_chunk_along_decoded() -> None:
    (event,) = a_reader().read(a_chunk({"content": "a"}))
    assert event.chunk == json.loads(event.raw)


def test_null_usage_is_cut_off_and_everything_else_stays() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    (event,) = reader.read(a_chunk({"content": 'say ,"usage":null}'}, usage=None))
    assert event.raw == a_chunk({"content": 'say ,"usage":null}'})


def test_null_usage_in_the_middle_of_a_chunk_is_cut_out() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    (event,) = reader.read(a_chunk({"content": "b"}, usage=None, obfuscation="x"))
    assert json.loads(event.raw) == json.loads(a_chunk({"content": "b"}, obfuscation="x"))


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning": "a"},
        {"reasoning_content": "a"},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "a"}]},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"audio": {"id": "a"}},
        {"images": [{"type": "image_url"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
    ],
)
def test_content_has_come_with_anything_that_a_reader_sees(delta: dict[str, Any]) -> None:
    reader = a_reader()
    reader.read(a_chunk(delta))
    assert reader.has_content


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"content": None, "reasoning_content": ""},
        {"reasoning_details": [{"type": "reasoning.text", "text": "", "signature": ""}]},
        {"tool_calls": []},
        {},
    ],
)
def test_empty_deltas_are_no_content(delta: dict[str, Any]) -> None:
    reader = a_reader()
    reader.read(a_chunk(delta))
    assert not reader.has_content


def test_finish_is_held_until_the_end_and_keeps_its_bytes() -> None:
    reader = a_reader()
    finish = a_chunk({}, "stop")
    assert list(reader.read(finish)) == []
    (event,), outcome = reader.close(done=True)
    assert (event.kind, event.raw, outcome.finish_reason) == ("finish", finish, "stop")


def test_content_on_the_finish_chunk_goes_out_at_once() -> None:
    reader = a_reader()
    (event,) = reader.read(a_chunk({"content": "end"}, "length"))
    assert (event.kind, event.chunk["choices"][0]["finish_reason"]) == ("chunk", None)
    (finish,), _ = reader.close(done=True)
    assert finish.chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]


@pytest.mark.parametrize("later", [None, "stop", "length"])
def test_first_finish_stands_whatever_a_later_chunk_says(later: str | None) -> None:
    reader = a_reader()
    for data in (a_chunk({"content": "a"}), a_chunk({"content": "b"}), a_chunk({}, "stop")):
        reader.read(data)
    assert list(reader.read(a_chunk({"content": ""}, later))) == []
    assert reader.close(done=True)[1].finish_reason == "stop"


def test_content_after_the_finish_is_not_lost() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    reader.read(a_chunk({}, "stop"))
    (event,) = reader.read(a_chunk({"content": "b"}))
    assert event.chunk["choices"][0]["delta"] == {"content": "b"}
    assert list(reader.read(a_chunk({"content": ""}))) == []


def test_findings_after_the_finish_are_added_to_it() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    reader.read(a_chunk({}, "stop"))
    findings = {"index": 0, "content_filter_results": {"hate": {"filtered": False}}, "finish_reason": None}
    late = {**ENVELOPE, "choices": [findings], "openrouter_metadata": {"attempt": 1}}
    assert list(reader.read(json.dumps(late).encode())) == []
    (finish,), _ = reader.close(done=True)
    told = json.loads(finish.raw)
    assert told["openrouter_metadata"] == {"attempt": 1}
    assert told["choices"] == [{**findings, "delta": {}, "finish_reason": "stop"}]


def test_what_a_repeated_finish_says_more_is_kept() -> None:
    reader = a_reader()
    reader.read(a_chunk({}, "stop"))
    reader.read(a_chunk({}, "stop", service_tier="flex", usage={"prompt_tokens": 1, "completion_tokens": 2}))
    (finish, usage), _ = reader.close(done=True)
    assert finish.chunk["service_tier"] == "flex"
    assert "usage" not in finish.chunk
    assert usage.chunk["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_usage_chunk_in_good_form_keeps_its_bytes() -> None:
    reader = a_reader()
    counts = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    data = json.dumps({**ENVELOPE, "choices": [], "usage": counts}).encode()
    reader.read(a_chunk({}, "stop"))
    assert list(reader.read(data)) == []
    assert reader.close(done=True)[0][1].raw == data


def test_last_usage_holds_wherever_the_earlier_one_was() -> None:
    reader = a_reader()
    first = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    reader.read(json.dumps({**ENVELOPE, "choices": [], "usage": first}).encode())
    reader.read(a_chunk({}, "stop", usage={**first, "prompt_tokens": 5, "total_tokens": 7}))
    (_, usage), outcome = reader.close(done=True)
    assert json.loads(usage.raw)["usage"]["prompt_tokens"] == 5
    assert outcome.usage is not None
    assert outcome.usage.input_tokens == 5


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *(("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")),
        *(("model_length", "length"), ("max_tokens", "length"), ("MAX_TOKENS", "length")),
        *(("eos", "stop"), ("end_turn", "stop"), ("anything", "stop"), ("SAFETY", "content_filter")),
    ],
)
def test_finish_word_becomes_one_that_clients_know_and_is_kept_beside(word: str, reason: str) -> None:
    reader = a_reader()
    reader.read(a_chunk({}, word))
    (finish,), outcome = reader.close(done=True)
    assert outcome.finish_reason == finish.chunk["choices"][0]["finish_reason"] == reason
    assert finish.chunk["choices"][0].get("native_finish_reason") == (None if word == reason else word)


@pytest.mark.parametrize(("word", "reason"), [("stop", "tool_calls"), ("length", "length"), ("content_filter",) * 2])
def test_stop_after_a_tool_call_is_a_tool_call_and_nothing_else_is(word: str, reason: str) -> None:
    reader = a_reader()
    fragment = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reader.read(a_chunk({"tool_calls": [fragment]}))
    reader.read(a_chunk({}, word))
    assert reader.close(done=True)[1].finish_reason == reason


@pytest.mark.parametrize("word", ["error", "insufficient_system_resource", "abort"])
def test_failed_finish_is_an_error_that_keeps_the_usage(word: str) -> None:
    reader = a_reader()
    with pytest.raises(UpstreamError) as raised:
        reader.read(a_chunk({}, word, usage={"prompt_tokens": 7, "completion_tokens": 1}))
    assert raised.value.retryable
    usage = reader.outcome_so_far().usage
    assert usage is not None
    assert usage.input_tokens == 7


def test_error_before_the_finish_is_raised_and_after_it_is_kept_for_the_log() -> None:
    error = json.dumps({"error": {"message": "no", "code": 502}}).encode()
    with pytest.raises(UpstreamError):
        a_reader().read(error)
    reader = a_reader()
    reader.read(a_chunk({}, "stop"))
    assert list(reader.read(error)) == []
    assert reader.late_error is not None
    assert reader.outcome_so_far().late_error is reader.late_error
    assert reader.close(done=False)[1].status == "ok"


def test_error_on_an_otherwise_good_chunk_is_an_error() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    with pytest.raises(UpstreamError):
        reader.read(a_chunk({"content": ""}, error={"message": "no", "code": 502}))


def test_error_after_the_finish_of_one_of_two_choices_is_raised() -> None:
    reader = a_reader()
    two = json.dumps({**ENVELOPE, "choices": [{"index": index, "delta": {"content": "a"}} for index in (0, 1)]})
    reader.read(two.encode())
    reader.read(a_chunk({}, "stop"))
    with pytest.raises(UpstreamError):
        reader.read(b'{"error": "gone"}')


@pytest.mark.parametrize("data", [b'{"error": "gone"}', b'{"object": "error", "message": "gone"}'])
def test_error_in_any_envelope_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        a_reader().read(data)


def test_event_named_error_is_an_error_whatever_it_holds() -> None:
    with pytest.raises(UpstreamError):
        a_reader().read(b'{"message": "gone"}', b"error")


def test_event_named_error_is_an_error_even_in_the_form_of_a_good_chunk() -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    with pytest.raises(UpstreamError):
        reader.read(a_chunk({"content": "b"}), b"error")


def test_choice_that_comes_late_has_to_finish_as_well() -> None:
    reader = a_reader()
    for data in (a_chunk({"content": "a"}), a_chunk({"content": "b"}).replace(b'"index":0', b'"index":1')):
        reader.read(data)
    reader.read(a_chunk({}, "stop"))
    with pytest.raises(StreamInterrupted):
        reader.close(done=False)


def test_stream_without_finish_is_interrupted_after_content_and_invalid_before() -> None:
    reader = a_reader()
    reader.read(a_chunk({"role": "assistant"}))
    with pytest.raises(UpstreamInvalidResponse):
        reader.close(done=True)
    reader.read(a_chunk({"content": "a"}))
    with pytest.raises(StreamInterrupted):
        reader.close(done=True)


def test_choice_without_finish_is_forgiven_after_done_alone() -> None:
    two = json.dumps({**ENVELOPE, "choices": [{"index": index, "delta": {"content": "a"}} for index in (0, 1)]})
    reader = a_reader()
    reader.read(two.encode())
    reader.read(a_chunk({}, "length"))
    with pytest.raises(StreamInterrupted):
        reader.close(done=False)
    (finish,), _ = reader.close(done=True)
    assert [choice["finish_reason"] for choice in finish.chunk["choices"]] == ["length", "stop"]


@pytest.mark.parametrize("other", [{"id": ""}, {"id": "c2"}, {"created": 1790000009}, {"model": ""}, {"object": "x"}])
def test_id_object_date_and_model_are_those_of_the_first_chunk_throughout(other: dict[str, Any]) -> None:
    reader = a_reader()
    reader.read(a_chunk({"content": "a"}))
    (event,) = reader.read(a_chunk({"content": "b"}, **other))
    assert json.loads(event.raw) == {**json.loads(a_chunk({"content": "b"})), **ENVELOPE}


def test_missing_id_date_and_model_are_made_up_the_same_way_throughout() -> None:
    reader = a_reader()
    events = [event for _ in range(2) for event in reader.read(b'{"choices": [{"delta": {"content": "a"}}]}')]
    shared = [{key: event.chunk[key] for key in ("id", "created", "model", "object")} for event in events]
    assert shared[0] == shared[1] == {**shared[0], "created": 0, "model": "asked/model"}
    assert shared[0]["id"].startswith("chatcmpl-")


def test_first_event_without_an_id_waits_for_the_one_that_has_it() -> None:
    reader = a_reader()
    first = {"choices": [], "id": "", "created": 0, "model": "", "object": "", "prompt_filter_results": [1]}
    assert list(reader.read(json.dumps(first).encode())) == []
    early, event = reader.read(a_chunk({"content": "a"}))
    assert early.chunk == {**first, **ENVELOPE}
    assert (early.seq, event.seq) == (1, 2)


@pytest.mark.parametrize("data", [b'{"choices": null}', b"{}", b'{"id": "c1", "choices": [], "usage": null}'])
def test_chunk_that_tells_nothing_is_dropped(data: bytes) -> None:
    assert list(a_reader().read(data)) == []


@pytest.mark.parametrize("role", [None, "", "model", "tool"])
def test_role_is_assistant_or_absent(role: str | None) -> None:
    reader = a_reader()
    for _ in range(2):
        (event,) = reader.read(a_chunk({"role": role, "content": "a"}))
        assert event.chunk["choices"][0]["delta"] == {"content": "a"}


def test_own_id_replaces_one_that_is_not_unique_and_the_upstreams_is_on_record() -> None:
    reader = a_reader("ollama")
    (event,) = reader.read(a_chunk({"content": "a"}))
    reader.read(a_chunk({}, "stop"))
    finish, outcome = reader.close(done=True)
    assert event.chunk["id"] == finish[0].chunk["id"] != "c1"
    assert outcome.upstream_id == "c1"


def test_text_completion_keeps_its_shape() -> None:
    reader = a_reader(operation="completion")
    chunk = {**ENVELOPE, "object": "text_completion", "choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}
    (event,) = reader.read(json.dumps(chunk).encode())
    (finish,), _ = reader.close(done=True)
    assert event.chunk["choices"] == [{"index": 0, "text": "a", "finish_reason": None}]
    assert finish.chunk["choices"] == [{"index": 0, "text": "", "finish_reason": "stop"}]
    assert finish.chunk["object"] == "text_completion"


def test_nan_becomes_null_and_the_chunk_well_formed() -> None:
    data = a_chunk({"content": "a"}).replace(b'"finish_reason":null', b'"logprobs":NaN,"finish_reason":null')
    (event,) = a_reader().read(data)
    assert json.loads(event.raw, parse_constant=pytest.fail)["choices"][0]["logprobs"] is None
