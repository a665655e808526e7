"""The table of names against the conventions; TYPES of the end-to-end test has what each of them is."""

import pytest

from llm_service.observability.tracing.names import ATTRIBUTES, METRICS, names_of

LATEST = frozenset(
    """gen_ai.operation.name gen_ai.provider.name gen_ai.request.model gen_ai.response.model gen_ai.response.id
    gen_ai.response.finish_reasons gen_ai.response.time_to_first_chunk gen_ai.request.stream gen_ai.request.max_tokens
    gen_ai.request.temperature gen_ai.request.top_p gen_ai.request.top_k gen_ai.request.seed
    gen_ai.request.stop_sequences gen_ai.request.frequency_penalty gen_ai.request.presence_penalty
    gen_ai.request.choice.count gen_ai.request.encoding_formats gen_ai.embeddings.dimension.count gen_ai.output.type
    gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.usage.cache_read.input_tokens
    gen_ai.usage.reasoning.output_tokens gen_ai.token.type gen_ai.input.messages gen_ai.output.messages
    gen_ai.tool.definitions openai.api.type openai.request.service_tier http.request.method http.route url.path
    url.scheme http.response.status_code http.request.resend_count server.address server.port error.type""".split()
)
SINCE_1_36 = frozenset(
    """gen_ai.response.time_to_first_chunk gen_ai.request.stream gen_ai.embeddings.dimension.count
    gen_ai.usage.cache_read.input_tokens gen_ai.usage.reasoning.output_tokens gen_ai.input.messages
    gen_ai.output.messages gen_ai.tool.definitions openai.api.type""".split()
)
RENAMED = {
    "gen_ai.provider.name": "gen_ai.system",
    "openai.request.service_tier": "gen_ai.openai.request.service_tier",
}
DEPRECATED = {"gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "gen_ai.prompt"}


def test_the_latest_names_are_those_of_the_conventions() -> None:
    names = set(names_of(ATTRIBUTES, "latest").values())
    assert {name for name in names if not name.startswith("llm_service.")} == LATEST
    assert not names & DEPRECATED


def test_the_stable_names_are_those_before_the_renaming() -> None:
    names = {name for name in names_of(ATTRIBUTES, "stable").values() if not name.startswith("llm_service.")}
    assert names == {RENAMED.get(name, name) for name in LATEST - SINCE_1_36}


@pytest.mark.parametrize("semconv", ["stable", "latest"])
@pytest.mark.parametrize("table", [ATTRIBUTES, METRICS])
def test_no_name_stands_for_two_things(semconv: str, table: dict[str, tuple[str | None, str]]) -> None:
    names = list(names_of(table, semconv).values())  # type: ignore[arg-type]
    assert len(set(names)) == len(names)
