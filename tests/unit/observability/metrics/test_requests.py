"""What is counted of a request that is over."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from llm_service.domain import (
    Claim,
    Lease,
    Limit,
    ModelNotFound,
    Outcome,
    Overloaded,
    RateLimited,
    UpstreamError,
)
from llm_service.domain import (
    Tried as TriedOfRecord,
)
from llm_service.observability import Arena, Meters, RequestFinished, RequestMeter, Snapshot, Trace, Whole, catalog
from llm_service.observability.metrics.requests import MOST_BOUND
from tests.support.clock import ManualClock
from tests.support.finished import STAGES, Tried, finished, record


class Counting:
    """A listener, and what is to be read of it."""

    def __init__(self, *, per_key: bool = False, known: Any = None) -> None:
        self.arena = Arena.alone()
        cells = self.arena.enter()
        assert cells is not None
        self.meters = Meters(cells)
        self.meter = RequestMeter(
            self.meters, knows=known or (lambda model: True), per_key=per_key, time=ManualClock().time
        )
        self.meter.name_stages(STAGES)

    async def of(self, *facts: RequestFinished) -> Snapshot:
        for fact in facts:
            self.meter.request_finished(fact)
        return await Whole(self.arena, clock=ManualClock()).read()


@pytest.fixture
def counting() -> Counting:
    return Counting()


def shown(snapshot: Snapshot, name: str) -> dict[tuple[str, ...], float]:
    family = snapshot.families.get(name)
    return {} if family is None else {labels: value for labels, value in family.numbers.items() if value}


async def test_a_request_is_counted_by_its_labels(counting: Counting) -> None:
    found = await counting.of(finished(), finished(), finished(surface="graphql"))
    assert shown(found, "llm_requests_total") == {
        ("rest", "openrouter/careful", "openrouter", "ok", "miss"): 2,
        ("graphql", "openrouter/careful", "openrouter", "ok", "miss"): 1,
    }


async def test_its_times_fall_into_their_buckets(counting: Counting) -> None:
    found = await counting.of(finished(stream=True), finished(stream=True, duration_ms=200.0))
    lasted = found.distribution("llm_request_duration_seconds", model="openrouter/careful", cache="miss")
    began = found.distribution("llm_time_to_first_chunk_seconds", provider="openrouter")
    assert lasted is not None
    assert began is not None
    assert (lasted.count, lasted.sum) == (2, pytest.approx(1.5))
    assert lasted.share_above(1.0) == 0.5
    assert (began.count, began.sum) == (2, pytest.approx(0.6))


async def test_tokens_and_money_are_those_of_the_record(counting: Counting) -> None:
    found = await counting.of(finished(), finished(record=record(nano_usd=500_000, cost_source="catalog")))
    assert found.by("llm_tokens_total", "kind") == {
        "input": 200, "output": 22, "cached_input": 80, "reasoning": 10,
    }  # fmt: skip
    assert found.by("llm_cost_usd_total", "source") == pytest.approx({"provider": 0.002, "catalog": 0.0005})


async def test_only_of_streams_it_is_said_how_fast_they_went_on(counting: Counting) -> None:
    found = await counting.of(finished(), finished(stream=True), finished(stream=True, record=record(output_tokens=1)))
    speed = found.distribution("llm_time_per_output_token_seconds")
    assert speed is not None
    assert (speed.count, speed.sum) == (1, pytest.approx(0.1))
    assert found.by("llm_streams_total", "status") == {"ok": 2}


async def test_where_nobody_was_asked_there_is_no_provider(counting: Counting) -> None:
    free = record(nano_usd=0, provider=None, saved_nano_usd=7_000_000, cache="hit")
    found = await counting.of(finished(tries=[], cache="hit", record=free, saved_nano_usd=7_000_000))
    assert found.by("llm_requests_total", "provider") == {"none": 1}
    assert found.by("llm_cache_hits_total", "kind") == {"hit": 1}
    assert found.by("llm_saved_usd_total", "model") == {"openrouter/careful": pytest.approx(0.007)}
    assert "llm_cost_usd_total" not in found.families
    assert found.total("llm_cache_misses_total") == 0


@pytest.mark.parametrize("cache", ["hit", "semantic", "coalesced", "stale", "replay"])
async def test_each_way_to_an_answer_without_a_call_is_a_hit_of_its_own(counting: Counting, cache: str) -> None:
    found = await counting.of(finished(tries=[], cache=cache, record=None))
    assert found.by("llm_cache_hits_total", "kind") == {cache: 1}


async def test_a_bypass_is_neither_hit_nor_miss(counting: Counting) -> None:
    found = await counting.of(finished(cache="bypass"))
    assert "llm_cache_hits_total" not in found.families
    assert found.total("llm_cache_misses_total") == 0


async def test_what_was_refused_is_no_miss(counting: Counting) -> None:
    refused = Outcome(status="refused", error=RateLimited("wait", retry_after_s=1.0))
    found = await counting.of(finished(cache="miss", record=None, tries=[], outcome=refused))
    assert found.total("llm_cache_misses_total") == 0
    assert (await counting.of(finished(cache="miss"))).total("llm_cache_misses_total") == 1


async def test_errors_are_counted_by_code_and_fault(counting: Counting) -> None:
    refused = Outcome(status="refused", error=ModelNotFound("none"))
    full = Outcome(status="error", error=Overloaded("full"))
    found = await counting.of(
        finished(outcome=refused, tries=[], record=None), finished(outcome=full, tries=[], record=None)
    )
    assert shown(found, "llm_request_errors_total") == {("model_not_found", "caller"): 1, ("overloaded", "gateway"): 1}


async def test_refused_requests_have_no_part_in_how_long_answers_take(counting: Counting) -> None:
    refused = Outcome(status="refused", error=ModelNotFound("none"))
    found = await counting.of(finished(outcome=refused, tries=[], record=None, first_content_ms=None, duration_ms=0.1))
    assert found.distribution("llm_request_duration_seconds") is None


async def test_what_became_an_exchange_in_no_door_is_counted_without_a_model(counting: Counting) -> None:
    fact = finished(
        model=None, provider=None, tries=[], record=None, outcome=Outcome(status="refused"), first_content_ms=None
    )
    assert shown(await counting.of(fact), "llm_requests_total") == {("rest", "none", "none", "refused", "miss"): 1}


# -- calls of upstreams


async def test_calls_are_counted_by_what_became_of_them(counting: Counting) -> None:
    tries = [
        Tried("deepseek", error_code="upstream_error", is_fault=True), Tried("deepseek", error_code="model_not_found"),
        Tried(error_code="aborted"), Tried(),
    ]  # fmt: skip
    found = await counting.of(finished(tries=tries))
    assert shown(found, "llm_upstream_attempts_total") == {
        ("deepseek", "error"): 1, ("deepseek", "excused"): 1, ("openrouter", "aborted"): 1, ("openrouter", "ok"): 1,
    }  # fmt: skip
    assert shown(found, "llm_upstream_errors_total") == {
        ("deepseek", "upstream_error"): 1, ("deepseek", "model_not_found"): 1,
    }  # fmt: skip


async def test_one_that_broke_off_behind_its_first_content_has_failed(counting: Counting) -> None:
    broken = Outcome(status="error", error=UpstreamError("it ended early", provider="openrouter"))
    found = await counting.of(finished(outcome=broken, tries=[Tried(is_fault=True)]))
    assert shown(found, "llm_upstream_attempts_total") == {("openrouter", "error"): 1}
    assert shown(found, "llm_upstream_errors_total") == {("openrouter", "upstream_error"): 1}


async def test_a_fallback_is_another_deployment_than_the_first(counting: Counting) -> None:
    fell_back = [Tried("deepseek", "flash", "upstream_error"), Tried()]
    again = [Tried(error_code="upstream_error"), Tried()]
    found = await counting.of(finished(tries=fell_back), finished(tries=again))
    assert found.total("llm_fallbacks_total") == 1


@pytest.mark.parametrize(("codes", "outcome"), [(("lost", None), "won"), ((None, "lost"), "lost")])
async def test_a_second_attempt_has_won_where_the_first_was_lost(
    counting: Counting, codes: tuple[str | None, ...], outcome: str
) -> None:
    found = await counting.of(finished(tries=[Tried(error_code=code) for code in codes]))
    assert found.by("llm_hedges_total", "outcome") == {outcome: 1}
    assert "llm_fallbacks_total" not in found.families


async def test_what_attempts_cost_in_vain_is_counted_by_provider(counting: Counting) -> None:
    vain = [
        TriedOfRecord(provider="deepseek", upstream_model="m", error_code="lost", nano_usd=3_000_000),
        TriedOfRecord(provider="openrouter", upstream_model="m"),
    ]
    found = await counting.of(finished(record=record(tries=tuple(vain), wasted_nano_usd=3_000_000)))
    assert found.by("llm_wasted_usd_total", "provider") == {"deepseek": pytest.approx(0.003)}


async def test_waiting_for_a_place_is_a_time_of_its_own(counting: Counting) -> None:
    found = await counting.of(finished(queue_s=0.2), finished())
    waited = found.distribution("llm_queue_seconds", provider="openrouter")
    assert waited is not None
    assert (waited.count, waited.sum) == (1, pytest.approx(0.2))


# -- limits


def limit(scope: Any, kind: Any, key: str = "") -> Limit:
    return Limit(key=key or f"{scope}.{kind}", scope=scope, subject="", kind=kind, amount=1)


async def test_of_an_admitted_request_every_limit_that_it_met_is_counted(counting: Counting) -> None:
    lease = Lease(
        "req_1",
        callers=[Claim(limit("key", "requests"), 1), Claim(limit("global", "money"), 9)],
        candidate=0,
        provider=[Claim(limit("provider", "tokens"), 5)],
        second=0,
    )
    found = await counting.of(finished(lease=lease), finished(lease=lease))
    assert shown(found, "llm_limit_decisions_total") == {
        ("key", "requests", "admitted"): 2,
        ("global", "money", "admitted"): 2,
        ("provider", "tokens", "admitted"): 2,
    }


async def test_of_a_refused_one_the_limit_that_refused_is(counting: Counting) -> None:
    error = RateLimited("no room", limit=limit("user", "tokens"))
    found = await counting.of(finished(outcome=Outcome(status="refused", error=error), tries=[], record=None))
    assert shown(found, "llm_limit_decisions_total") == {("user", "tokens", "refused"): 1}


async def test_limits_of_very_many_users_take_no_more_memory(counting: Counting) -> None:
    for number in range(MOST_BOUND + 10):
        claim = Claim(limit("user", "requests", f"user.{number}"), 1)
        counting.meter.request_finished(finished(lease=Lease("r", callers=[claim], candidate=0, provider=(), second=0)))
    found = await counting.of()
    assert shown(found, "llm_limit_decisions_total") == {("user", "requests", "admitted"): MOST_BOUND + 10}
    assert len(counting.meter._limits) <= MOST_BOUND


# -- our own share


def marked(*moments: float, **other: Any) -> RequestFinished:
    return finished(received_at=0.0, marks=moments, **other)


async def test_each_stage_took_what_passed_until_the_next_began(counting: Counting) -> None:
    moments = [0.001 * place for place in range(1, len(STAGES) + 1)]
    found = await counting.of(marked(*moments, head_at=5.0))
    for stage in ("parse", *STAGES[:-1]):
        took = found.distribution("llm_overhead_seconds", stage=stage)
        assert took is not None
        assert (took.count, took.sum) == (1, pytest.approx(0.001)), stage
    total = found.distribution("llm_overhead_seconds", stage="total")
    assert total is not None
    assert (total.count, total.sum) == (1, pytest.approx(0.001 * len(STAGES)))


async def test_where_nobody_was_called_the_last_stage_ends_with_the_answer(counting: Counting) -> None:
    found = await counting.of(marked(0.001, 0.002, head_at=0.005, tries=[], cache="hit", record=None))
    last, total = (found.distribution("llm_overhead_seconds", stage=stage) for stage in ("shed", "total"))
    assert last is not None
    assert total is not None
    assert (last.sum, total.sum) == (pytest.approx(0.003), pytest.approx(0.005))


@pytest.mark.parametrize(
    "how",
    [{"cache": "coalesced", "head_at": 9.0}, {"cache": "replay", "head_at": 9.0}, {"cache": "bypass", "head_at": None}],
)
async def test_waiting_for_others_and_refusals_are_no_share_of_ours(counting: Counting, how: dict[str, Any]) -> None:
    found = await counting.of(marked(0.001, 0.002, tries=[], record=None, **how))
    first, last, total = (
        found.distribution("llm_overhead_seconds", stage=stage) for stage in ("observe", "shed", "total")
    )
    assert first is not None
    assert last is not None
    assert total is not None
    assert (first.count, last.count, total.count) == (1, 0, 0)


# -- who is named


async def test_a_model_that_nobody_knows_is_other_and_takes_no_room() -> None:
    counting = Counting(known=lambda model: model == "fast")
    for number in range(5000):
        counting.meter.request_finished(finished(model=f"invented-{number}"))
    found = await counting.of(finished(model="fast"))
    assert found.by("llm_requests_total", "model") == {"other": 5000, "fast": 1}
    assert len(counting.meter._bound) == 2


async def test_a_model_that_becomes_known_is_named_from_then_on() -> None:
    catalogue: set[str] = set()
    counting = Counting(known=lambda model: model in catalogue)
    await counting.of(finished(model="new"))
    catalogue.add("new")
    found = await counting.of(finished(model="new"))
    assert found.by("llm_requests_total", "model") == {"other": 1, "new": 1}


async def test_it_is_asked_once_whether_a_model_is_known() -> None:
    asked: list[str] = []
    counting = Counting(known=lambda model: asked.append(model) or True)
    await counting.of(*[finished()] * 5)
    assert asked == ["openrouter/careful"]


async def test_keys_are_named_only_where_that_is_wanted() -> None:
    assert "llm_key_requests_total" not in (await Counting().of(finished())).families
    found = await Counting(per_key=True).of(finished(), finished(record=record(key_id="key_2", nano_usd=0)))
    assert shown(found, "llm_key_requests_total") == {("key_1", "ok"): 1, ("key_2", "ok"): 1}
    assert found.by("llm_key_cost_usd_total", "key_id") == {"key_1": pytest.approx(0.002)}
    assert found.by("llm_key_tokens_total", "kind") == {"input": 200, "output": 22}


async def test_a_whole_answer_has_no_first_chunk(counting: Counting) -> None:
    found = await counting.of(finished(stream=False, first_content_ms=30_000.0, duration_ms=30_000.0))
    assert "llm_time_to_first_chunk_seconds" not in found.families
    assert found.distribution("llm_request_duration_seconds")


async def test_a_trace_is_remembered_in_the_buckets_of_its_request(counting: Counting) -> None:
    await counting.of(finished(), replace(finished(stream=True), trace_id="0af7651916cd43dd8448eb211c80319c"))
    meters, whom = counting.meters, (finished().model or "", finished().provider or "")
    for metric, labels in (
        (catalog.REQUEST_DURATION, (*whom, finished().cache)),
        (catalog.TIME_TO_FIRST_CHUNK, whom),
    ):
        (one,) = meters.exemplars_of(metric, labels).values()
        assert one.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert not meters.exemplars_of(catalog.OVERHEAD, ("total",))
    assert len(meters.exemplars) == 2


async def test_however_many_keys_there_are_few_cells_are_kept_at_hand() -> None:
    counting = Counting(per_key=True)
    await counting.of(*(finished(record=record(key_id=f"key_{number}")) for number in range(MOST_BOUND)))
    assert len(counting.meter._counted) <= MOST_BOUND


async def test_nothing_points_to_a_trace_that_was_not_sampled(counting: Counting) -> None:
    trace = Trace(None, None, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0)
    await counting.of(finished(trace_id=trace.trace_id, trace=trace))
    assert not counting.meters.exemplars


def test_the_fact_takes_what_the_pipeline_has() -> None:
    """Attempts of the pipeline are what the listener takes: by their fields alone."""
    attempt = SimpleNamespace(candidate=Tried().candidate, error_code=None)
    assert finished(tries=[attempt]).tries == [attempt]  # type: ignore[list-item]
