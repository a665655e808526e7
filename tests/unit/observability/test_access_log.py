"""Lines of requests are written together, soon, and completely."""

import io
from dataclasses import replace

import orjson

from llm_service.domain import InvalidValue, Outcome, UpstreamError
from llm_service.observability import JsonAccessLog, ObservabilityOptions
from llm_service.observability.logging import KEEP_LINES, KEEP_S
from tests.support.clock import ManualClock
from tests.unit.observability.test_outlet import FACT


class Written:
    def __init__(self, **options: str) -> None:
        self.raw = io.BytesIO()
        self.clock = ManualClock()
        settings = ObservabilityOptions(log_format="json", **options)  # type: ignore[arg-type]
        self.stream = io.TextIOWrapper(self.raw)  # closes what it wraps when it is dropped
        self.log = JsonAccessLog(settings, clock=self.clock, stream=self.stream)

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
