"""The metrics of the generative AI conventions, and the service's own under their own names."""

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llm_service.domain import Candidate, Outcome, UpstreamError, Usage, chat_request, embedding_request
from llm_service.observability import Envelope, GenAiFigures, RequestFinished, Upstream, metrics_of
from llm_service.observability.metrics import Distribution, Family, Snapshot
from llm_service.observability.metrics.catalog import IN_FLIGHT, REQUEST_DURATION, REQUESTS, STARTED
from llm_service.observability.otlp.encoding import PIECE
from llm_service.observability.otlp.figures import MAX_SERIES
from llm_service.pipeline.base import Try
from tests.support.clock import ManualClock
from tests.support.otlp import metrics_in

# name: unit, bounds; as the conventions have them
CONVENTION = {
    "gen_ai.client.operation.duration": (
        "s", [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    ),
    "gen_ai.client.token.usage": (
        "{token}",
        [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864],
    ),
    "gen_ai.client.operation.time_to_first_chunk": (
        "s", [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    ),
    "gen_ai.server.request.duration": (
        "s", [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    ),
    "gen_ai.server.time_to_first_token": (
        "s", [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    ),
    "gen_ai.server.time_per_output_token": (
        "s", [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5],
    ),
}  # fmt: skip
UPSTREAMS = {"mine": Upstream("openai", "api.example.com", 443)}
ENVELOPE = Envelope({"service.name": "llm-service"}, scope="s", version="1")


def attempt(model: str = "m", *, began: float = 0.0, ended: float = 0.5, code: str | None = None) -> Try:
    one = Try(Candidate(provider="mine", upstream_model=model), 100.0 + began)
    one.ended_at, one.error_code = 100.0 + ended, code
    return one


def finished(*tries: Try, model: str = "m", stream: bool = True, **facts: Any) -> RequestFinished:
    body = {"model": "fast", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    told: dict[str, Any] = {
        "request_id": "req_1", "stream_id": None, "surface": "rest", "key_id": "key_1", "model": "fast",
        "provider": "mine", "upstream_model": model, "stream": stream, "first_content_ms": 500.0,
        "duration_ms": 2500.0, "received_at": 100.0, "tries": tries, "request": chat_request(body),
        "outcome": Outcome(status="ok", usage=Usage(input_tokens=20, output_tokens=5), response_model="m-1"),
    }  # fmt: skip
    return RequestFinished(**told | facts)


@pytest.fixture
def figures() -> GenAiFigures:
    return GenAiFigures("latest", UPSTREAMS, ManualClock())


def driven(work: Coroutine[Any, Any, Sequence[bytes]]) -> tuple[Sequence[bytes], int]:
    """What the work makes, and how often it gave others a turn."""
    turns = 0
    while True:
        try:
            work.send(None)
        except StopIteration as done:
            return done.value, turns
        turns += 1


def told(figures: GenAiFigures) -> dict[str, dict[str, Any]]:
    return metrics_in(ENVELOPE.metrics(driven(figures.metrics())[0]))


def points(figures: GenAiFigures, name: str) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = told(figures).get(name, {"histogram": {"dataPoints": []}})["histogram"]["dataPoints"]
    return points


def test_names_units_and_buckets_are_those_of_the_conventions(figures: GenAiFigures) -> None:
    figures.request_finished(finished(attempt()))
    shape = {
        name: (one["unit"], one["histogram"]["dataPoints"][0]["explicitBounds"]) for name, one in told(figures).items()
    }
    assert shape == CONVENTION
    for one in told(figures).values():
        assert one["histogram"]["aggregationTemporality"] == 2
        for point in one["histogram"]["dataPoints"]:
            assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1
            assert sum(point["bucketCounts"]) == point["count"]
            assert point["startTimeUnixNano"] <= point["timeUnixNano"]


def test_a_call_is_measured_from_its_beginning_to_the_end_of_its_answer(figures: GenAiFigures) -> None:
    figures.request_finished(finished(attempt(began=0.25, ended=0.5)))
    (call,) = points(figures, "gen_ai.client.operation.duration")
    assert (call["sum"], call["bucketCounts"][8]) == (2.25, 1)  # up to 2.56
    assert call["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "server.address": "api.example.com",
    }
    (first,) = points(figures, "gen_ai.client.operation.time_to_first_chunk")
    assert first["sum"] == 0.25
    tokens = {
        point["attributes"]["gen_ai.token.type"]: point["sum"] for point in points(figures, "gen_ai.client.token.usage")
    }
    assert tokens == {"input": 20, "output": 5}
    (per_token,) = points(figures, "gen_ai.server.time_per_output_token")
    assert per_token["sum"] == 0.5


def test_a_value_on_a_bound_is_below_it(figures: GenAiFigures) -> None:
    figures.request_finished(finished(duration_ms=10.0, stream=False))
    (point,) = points(figures, "gen_ai.server.request.duration")
    assert point["bucketCounts"][0] == 1


def test_calls_that_failed_or_lost_count_by_their_own_ends(figures: GenAiFigures) -> None:
    failed, lost = attempt(ended=1.0, code="upstream_error"), attempt(began=1.0, ended=1.5, code="lost")
    figures.request_finished(finished(failed, lost, attempt("n", began=1.0, ended=2.0)))
    ends = {
        (point["attributes"]["gen_ai.request.model"], point["attributes"].get("error.type")): point["sum"]
        for point in points(figures, "gen_ai.client.operation.duration")
    }
    assert ends == {("m", "upstream_error"): 1.0, ("m", None): 0.5, ("n", None): 1.5}
    assert len(points(figures, "gen_ai.client.token.usage")) == 2


def test_an_answer_that_breaks_off_is_an_error_of_its_call(figures: GenAiFigures) -> None:
    error = UpstreamError("down", provider="mine")
    figures.request_finished(finished(attempt(), outcome=Outcome(status="error", error=error)))
    (call,) = points(figures, "gen_ai.client.operation.duration")
    assert call["attributes"]["error.type"] == "upstream_error"
    assert points(figures, "gen_ai.client.token.usage") == []


def test_a_kept_answer_has_a_duration_and_no_call(figures: GenAiFigures) -> None:
    figures.request_finished(finished(cache="hit"))
    assert "gen_ai.server.request.duration" in told(figures)
    assert not any(name.startswith("gen_ai.client.") for name in told(figures))


def test_embeddings_have_no_output(figures: GenAiFigures) -> None:
    request = embedding_request({"model": "m", "input": "x"})
    figures.request_finished(finished(attempt(), stream=False, request=request))
    (tokens,) = points(figures, "gen_ai.client.token.usage")
    assert tokens["attributes"]["gen_ai.operation.name"] == "embeddings"


def test_what_was_not_understood_is_not_counted(figures: GenAiFigures) -> None:
    figures.request_finished(finished(request=None))
    assert told(figures) == {}


def test_series_are_bounded_whatever_models_are_named(figures: GenAiFigures) -> None:
    for number in range(MAX_SERIES + 50):
        figures.request_finished(finished(attempt(f"m{number}"), model=f"m{number}"))
    for name in CONVENTION:
        found = points(figures, name)
        assert len(found) <= MAX_SERIES + 2
        assert sum(point["count"] for point in found) == (MAX_SERIES + 50) * (2 if "token.usage" in name else 1)
        assert any(point["attributes"]["gen_ai.request.model"] == "other" for point in found)


def test_others_get_their_turn_while_many_series_are_written_and_may_add_to_them(figures: GenAiFigures) -> None:
    for number in range(PIECE * 2):
        figures.request_finished(finished(attempt(f"m{number}"), model=f"m{number}"))
    work = figures.metrics()
    work.send(None)
    figures.request_finished(finished(attempt("late"), model="late"))
    _, turns = driven(work)
    assert turns >= 2 * len(CONVENTION)


def test_others_get_their_turn_within_one_family_of_many_series() -> None:
    numbers = {(*LABELS[:1], f"m{number}", *LABELS[2:]): 1.0 for number in range(PIECE * 4)}
    snapshot = Snapshot(at=1.0, families={REQUESTS.name: Family(REQUESTS, numbers, {})})
    _, turns = driven(metrics_of(snapshot))
    assert turns == 4


def test_the_stable_names_know_no_first_chunk_of_a_client() -> None:
    figures = GenAiFigures("stable", UPSTREAMS, ManualClock())
    figures.request_finished(finished(attempt()))
    assert set(told(figures)) == set(CONVENTION) - {"gen_ai.client.operation.time_to_first_chunk"}
    (call,) = points(figures, "gen_ai.client.operation.duration")
    assert call["attributes"]["gen_ai.system"] == "openai"


# -- the service's own

LABELS = ("rest", "fast", "mine", "ok", "miss")
SNAPSHOT = Snapshot(
    at=2000.5,
    families={
        REQUESTS.name: Family(REQUESTS, {LABELS: 3.0}, {}),
        IN_FLIGHT.name: Family(IN_FLIGHT, {(): 2.0}, {}),
        STARTED.name: Family(STARTED, {(): 1000.25}, {}),
        REQUEST_DURATION.name: Family(
            REQUEST_DURATION,
            {},
            {("fast", "mine", "miss"): Distribution(REQUEST_DURATION.bounds, tuple(map(float, range(20))), 7.5)},
        ),
        "llm_tokens_total": Family(replace(REQUESTS, name="llm_tokens_total"), {}, {}),
    },
)


async def test_the_services_own_figures_keep_their_names_and_labels() -> None:
    metrics = metrics_in(ENVELOPE.metrics(await metrics_of(SNAPSHOT)))
    assert set(metrics) == {
        "llm_requests_total", "llm_requests_in_flight", "process_start_time_seconds", "llm_request_duration_seconds",
    }  # fmt: skip
    total = metrics["llm_requests_total"]["sum"]
    assert (total["isMonotonic"], total["aggregationTemporality"]) == (True, 2)
    (point,) = total["dataPoints"]
    assert point == {
        "attributes": dict(zip(REQUESTS.labels, LABELS, strict=True)),
        "startTimeUnixNano": 1_000_250_000_000,
        "timeUnixNano": 2_000_500_000_000,
        "asDouble": 3.0,
    }
    (gauge,) = metrics["llm_requests_in_flight"]["gauge"]["dataPoints"]
    assert (gauge["asDouble"], gauge["attributes"]) == (2.0, {})
    duration = metrics["llm_request_duration_seconds"]
    (point,) = duration["histogram"]["dataPoints"]
    assert (duration["unit"], point["count"], point["sum"]) == ("s", 190, 7.5)
    assert point["bucketCounts"] == list(range(20))
