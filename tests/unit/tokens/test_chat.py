import pytest

from llm_service.tokens import TokenCount

HELLO = {"role": "user", "content": "Hello there"}
TOOL = {
    "type": "function",
    "function": {"name": "tide", "description": "Height of the tide", "parameters": {"type": "object"}},
}
PIXEL = "data:image/png;base64," + "A" * 4_000


@pytest.fixture
def count(tokenizers):
    """Tokens that a chat of these messages has for a model whose words here are a token each."""

    def tokens(*messages, tools=None, model="gpt-4o"):
        return tokenizers.count_chat(model, messages, tools).tokens

    return tokens


def test_a_chat_is_always_an_estimate_and_names_who_counted_its_text(tokenizers):
    assert tokenizers.count_chat("gpt-4", [HELLO]) == TokenCount(tokens=9, estimated=True, tokenizer="cl100k_base")
    assert tokenizers.count_chat("claude-sonnet-4.5", [HELLO]).tokenizer == "estimate"


def test_a_message_costs_three_and_the_answer_three(count):
    role = text = 1

    assert count({"role": "user", "content": "Hello"}) == 3 + role + text + 3
    assert count(*[{"role": "user", "content": "Hello"}] * 10) == 10 * (3 + role + text) + 3


def test_a_name_costs_one_more_than_its_text(count):
    assert count(HELLO | {"name": "anna"}) == count(HELLO) + 1 + 1


def test_no_messages_cost_the_answer_alone(count):
    assert count() == 3


def test_parts_count_like_the_texts_they_hold(count):
    parts = [
        {"type": "text", "text": "Hello"},
        {"type": "text", "text": " there", "cache_control": {"type": "ephemeral"}},
    ]

    assert count({"role": "user", "content": parts}) == count(HELLO)


def test_tool_calls_count_with_name_and_arguments_but_not_with_ids(count):
    call = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "tide", "arguments": '{"at":1}'}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}

    assert (
        count(asked)
        == count({"role": "assistant", "content": "tide"}, {"role": "assistant", "content": '{"at":1}'}) - 4 + 8
    )
    assert count({"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "2.4"}) == count(
        {"role": "tool", "content": "2.4"}
    )


def test_tools_count_as_compact_json_and_a_frame(count, tokenizers):
    function = '{"name":"tide","description":"Height of the tide","parameters":{"type":"object"}}'
    tool = tokenizers.count_text("gpt-4o", f'{{"type":"function","function":{function}}}').tokens

    assert count(HELLO, tools=[TOOL]) == count(HELLO) + 16 + tool
    assert count(HELLO, tools=[]) == count(HELLO)


def test_reasoning_under_several_names_counts_once(count):
    answer = {"role": "assistant", "content": "Two", "reasoning": "one and one"}

    assert (
        count(answer | {"reasoning_content": "one and one"})
        == count(answer)
        > count({"role": "assistant", "content": "Two"})
    )
    assert count(answer | {"reasoning_details": [{"type": "reasoning.text", "text": "one and one"}]}) == count(answer)


def test_a_field_that_nobody_knows_yet_counts_as_text(count):
    assert count(HELLO | {"future_field": [{"deep": "Hello"}]}) == count(HELLO) + 1


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", {"detail": "low"}, 85),
        ("openai/gpt-4o:free", {"detail": "high"}, 1_536),
        ("gpt-4.1", {}, 1_536),
        ("gpt-4o-mini", {}, 48_169),
        ("gpt-4.1-mini", {}, 3_814),
        ("o3", {"detail": "auto"}, 1_536),
        ("deepseek-flash", {}, 1_024),
        ("claude-sonnet-4.5", {}, 3_000),
        ("gpt-5.4", {"detail": "original"}, 12_000),
    ],
)
def test_an_image_costs_what_its_model_may_charge_and_its_bytes_nothing(count, model, detail, tokens):
    image = {"type": "image_url", "image_url": {"url": PIXEL} | detail}

    assert count({"role": "user", "content": [image]}, model=model) == count({"role": "user"}, model=model) + tokens


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "input_audio", "input_audio": {"data": "A" * 160_000, "format": "wav"}}, 2_000),
        ({"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}}, 1_000),
        ({"type": "video_url", "video_url": {"url": "https://example.org/tide.mp4"}}, 1_000),
        ({"type": "file", "file": {"filename": "tide.pdf", "file_data": "A" * 64_000}}, 4_000),
        ({"type": "file", "file": {"file_id": "file-1"}}, 3_000),
        ({"type": "file"}, 3_000),
        ({"type": "image_url", "image_url": PIXEL, "detail": "low"}, 85),
    ],
)
def test_recordings_and_files_cost_by_their_length(count, part, tokens):
    assert count({"role": "user", "content": [part]}) == count({"role": "user"}) + tokens


@pytest.mark.parametrize(
    "content", [None, 7, True, [], {}, [None, 7, {}], [["Hello"]], {"type": 5}, {"type": ["text"]}]
)
def test_contents_of_no_known_form_are_no_error(count, content):
    assert count({"role": "user", "content": content}) >= count({"role": "user"})


@pytest.mark.parametrize("calls", [None, 7, "text", [], {}])
def test_tool_calls_of_no_known_form_are_no_error(count, calls):
    assert count({"role": "assistant", "tool_calls": calls}) >= count({"role": "assistant"})


def test_depth_is_no_error(count):
    content: list = ["Hello"]
    for _ in range(50_000):
        content = [content]

    assert count({"role": "user", "content": content}) == count({"role": "user", "content": "Hello"})
