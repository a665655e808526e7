"""Lines of requests are written together, soon, and completely."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import orjson
import pytest

from llm_service.domain import InvalidValue, LLMServiceError, Outcome, Secret, UpstreamError, UsageRecord
from llm_service.observability import (
    AccessLog,
    JsonAccessLog,
    LevelOverride,
    ObservabilityOptions,
    Redaction,
    RequestFinished,
)
from llm_service.observability.access_log import KEEP_LINES, KEEP_S
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.unit.observability.test_outlet import FACT

CREDENTIAL: Final = "canary7credential8without9form"
LOOKS: Final = "sk-or-v1-0123456789abcdef"
RECORD: Final = UsageRecord(
    request_id="req_1",
    stream_id=None,
    at=datetime(2026, 11, 26, tzinfo=UTC),
    key_id="local",
    user="somebody@example.org",
    tags={"team": "red"},
    surface="rest",
    model="p/m",
    provider="p",
    upstream_model="m",
    upstream_id="gen_1",
    input_tokens=12,
    output_tokens=34,
    cached_input_tokens=0,
    reasoning_tokens=0,
    nano_usd=1_230_000,
    cost_source="catalog",
    status="ok",
    cache="miss",
    overhead_ms=0.812,
)


class Written:
    def __init__(self, **options: str) -> None:
        self.raw = io.BytesIO()
        self.clock = ManualClock()
        self.override = LevelOverride()
        settings = ObservabilityOptions(log_format="json", **options)  # type: ignore[arg-type]
        self.stream = io.TextIOWrapper(self.raw)  # closes what it wraps when it is dropped
        self.log = JsonAccessLog(
            settings,
            clock=self.clock,
            stream=self.stream,
            override=self.override,
            redaction=Redaction([Secret(CREDENTIAL)]),
        )

    @property
    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self.raw.getvalue().splitlines()]


def test_lines_are_written_a_moment_after_the_first() -> None:
    written = Written()
    written.log.request_finished(FACT)
    written.log.request_finished(FACT)
    assert written.lines == []
    written.clock.advance(KEEP_S)
    assert [line["request_id"] for line in written.lines] == [FACT.request_id] * 2


def test_many_lines_are_not_kept_for_long() -> None:
    written = Written()
    for _ in range(KEEP_LINES):
        written.log.request_finished(FACT)
    assert len(written.lines) == KEEP_LINES


def test_closing_writes_what_is_kept() -> None:
    written = Written()
    written.log.request_finished(FACT)
    written.log.close()
    assert len(written.lines) == 1


def test_each_line_has_the_moment_of_its_request() -> None:
    written = Written()
    written.log.request_finished(FACT)
    written.clock.advance(1.25)
    written.log.request_finished(FACT)
    written.log.close()
    assert [line["at"] for line in written.lines] == ["2026-11-23T00:16:40.000Z", "2026-11-23T00:16:41.250Z"]


def test_failures_of_ours_and_of_providers_are_warnings_and_only_these_where_no_more_is_wanted() -> None:
    caller = replace(FACT, outcome=Outcome(status="refused", error=InvalidValue("wrong")))
    upstream = replace(FACT, outcome=Outcome(status="error", error=UpstreamError("down")))
    levels = {}
    for level in ("info", "warning", "error"):
        written = Written(log_level=level)
        for fact in (FACT, caller, upstream):
            written.log.request_finished(fact)
        written.log.close()
        levels[level] = [line["level"] for line in written.lines]
    assert levels == {"info": ["info", "info", "warning"], "warning": ["warning"], "error": []}


def test_attempts_are_told_where_they_were_not_one() -> None:
    written = Written()
    for attempts in (0, 1, 3):
        written.log.request_finished(replace(FACT, attempts=attempts))
    written.log.close()
    assert [line.get("attempts") for line in written.lines] == [0, None, 3]


def line_of(fact: RequestFinished) -> dict[str, object]:
    written = Written()
    written.log.request_finished(fact)
    written.log.close()
    return written.lines[0]


def test_the_level_can_be_changed_while_the_service_runs() -> None:
    written = Written()
    for level in ("error", "info", None):
        written.override.level = level  # type: ignore[assignment]
        written.log.request_finished(FACT)
    written.log.close()
    assert len(written.lines) == 2


def test_a_line_tells_what_was_recorded_and_neither_the_user_nor_the_tags() -> None:
    line = line_of(replace(FACT, record=RECORD, cache="miss", trace_id="a" * 32))
    told = {"cache", "cost_usd", "cost_source", "input_tokens", "output_tokens", "overhead_ms", "trace_id"}
    assert {name: line[name] for name in told} == {
        "cache": "miss",
        "cost_usd": "0.00123",
        "cost_source": "catalog",
        "input_tokens": 12,
        "output_tokens": 34,
        "overhead_ms": 0.812,
        "trace_id": "a" * 32,
    }
    assert "queue_ms" not in line
    assert not {"user", "tags", "prompt", "answer"} & line.keys()
    assert line_of(replace(FACT, record=replace(RECORD, queue_ms=3.5)))["queue_ms"] == 3.5
    assert line_of(replace(FACT, cache="replay"))["cache"] == "replay"


def test_a_failure_tells_its_cause_and_what_to_do() -> None:
    line = line_of(replace(FACT, outcome=Outcome(status="error", error=UpstreamError("The provider is down."))))
    assert (line["error_code"], line["cause"]) == ("upstream_error", "The provider is down.")
    assert "fallbacks" in str(line["hint"])


def test_the_words_for_a_callers_mistake_are_not_repeated() -> None:
    line = line_of(replace(FACT, outcome=Outcome(status="refused", error=InvalidValue(f"no model {LOOKS}"))))
    assert (line["error_code"], "cause" in line) == ("invalid_value", False)


@pytest.mark.parametrize("secret", [CREDENTIAL, LOOKS, CREDENTIAL[-8:], f"Bearer {LOOKS[3:]}", "llms_abcdefgh12345678"])
def test_whatever_others_wrote_into_a_fact_no_line_shows_a_key(secret: str) -> None:
    error: LLMServiceError = UpstreamError(f"cannot use {secret}", provider="p")
    outcome = Outcome(status="error", error=error, late_error=UpstreamError(f"late: {secret}"))
    facts = [
        replace(FACT, outcome=outcome),
        replace(FACT, model=f"p/{secret}", upstream_model=secret),
        replace(FACT, model=secret, provider=None, upstream_model=None, outcome=outcome),
    ]
    for fact in facts:
        assert secret not in repr(line_of(fact))
        lines = LogLines()
        AccessLog(lines).request_finished(fact)
        if secret not in (CREDENTIAL, CREDENTIAL[-8:]):  # which the log behind it knows, and takes out
            assert secret not in repr(lines.lines)


def test_no_field_of_a_line_is_taken_from_elsewhere_than_the_known_ones() -> None:
    """Every text of the fact is either ours, or among the few that are redacted."""
    ours = {"request_id", "surface", "key_id", "provider", "upstream_model", "status", "cache", "cost_source"}
    ours |= {"error_code", "hint", "trace_id", "cost_usd", "at", "level", "event"}
    redacted = {"model", "upstream_model", "cause", "late_error"}
    failed = Outcome(status="error", error=UpstreamError("x"), late_error=UpstreamError("y"))
    line = line_of(replace(FACT, record=RECORD, outcome=failed, trace_id="a" * 32))
    assert {name for name, value in line.items() if isinstance(value, str)} == ours | redacted
