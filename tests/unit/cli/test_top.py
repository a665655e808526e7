"""What ``top`` draws: every figure in its place, on terminals of any size, and nothing that harms them."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.cli.client import Server, Unanswered
from llm_service.cli.sparkline import BARS, PLAIN_BARS, sparkline
from llm_service.cli.top import Watch, show_json
from llm_service.cli.top_screen import Seen, duration, rate, screen, seconds, share, text_of

FIGURES: dict[str, Any] = {
    "at": "2026-11-26T12:00:05.000Z",
    "interval_s": 1.0,
    "window_s": 10.0,
    "requests_per_s": 12.4,
    "errors_per_s": 0.5,
    "error_ratio": 0.04,
    "latency_p50_s": 0.21,
    "latency_p95_s": 1.25,
    "latency_p99_s": 3.4,
    "first_chunk_p50_s": 0.09,
    "first_chunk_p95_s": None,
    "input_tokens_per_s": 1234.0,
    "output_tokens_per_s": 345.0,
    "cost_usd_per_h": 1.234,
    "hit_ratio": 0.34,
    "in_flight": 5,
    "workers": 2,
    "by_provider": [
        {"name": "openrouter", "requests_per_s": 10.1, "error_ratio": 0.0, "latency_p95_s": 1.2},
        {"name": "deepseek", "requests_per_s": 2.3, "error_ratio": 0.25, "latency_p95_s": None},
    ],
    "by_model": [{"name": "openai/gpt-4o-mini", "requests_per_s": 12.4, "error_ratio": 0.04, "latency_p95_s": 1.25}],
}
ALERT = {
    "rule": "provider-down",
    "labels": {"provider": "deepseek"},
    "severity": "page",
    "state": "firing",
    "summary": "deepseek does not answer.",
}
FAILED = {
    "at": "2026-11-26T12:00:01.000Z",
    "status": "error",
    "error_code": "upstream_timeout",
    "provider": "deepseek",
    "upstream_model": "deepseek-chat",
    "error": "It did not answer in time.",
}


@pytest.fixture
def seen() -> Seen:
    seen = Seen("http://127.0.0.1:8080")
    seen.health = {"version": "1.2.3", "sandbox": True, "status": "degraded", "uptime_s": 11_520.0}
    for number in range(60):
        seen.take("metrics", {**FIGURES, "requests_per_s": number / 5})
    seen.take("metrics", FIGURES)
    seen.take("alert", ALERT)
    seen.take("request", FAILED)
    seen.take("request", {"status": "ok"})
    return seen


def drawn(seen: Seen, *, width: int = 100, height: int = 50, colour: bool = False) -> list[str]:
    return [text_of(line, colour=colour) for line in screen(seen, width=width, height=height)]


def test_everything_that_is_known_is_shown(seen: Seen) -> None:
    assert drawn(seen) == [
        "llm-service 1.2.3  SANDBOX  degraded  up 3 h 12 min  2 workers  5 in flight  http://127.0.0.1:8080",
        "",
        "requests     12.4/s  " + sparkline(list(seen.requests), width=60),
        "errors       0.50/s  4.0%",
        "latency   p50 210 ms   p95 1.2 s   p99 3.4 s",
        "first     p50 90 ms   p95 -",
        "tokens    in 1,234/s   out 345/s",
        "cost      $1.23/h   hits 34.0%",
        "",
        "FIRING page provider-down provider=deepseek  deepseek does not answer.",
        "",
        "provider       req/s   errors       p95",
        "openrouter      10.1     0.0%     1.2 s",
        "deepseek         2.3    25.0%         -",
        "",
        "model                  req/s   errors       p95",
        "openai/gpt-4o-mini      12.4     4.0%     1.2 s",
        "",
        "last errors",
        "12:00:01  upstream_timeout  deepseek/deepseek-chat  It did not answer in time.",
    ]


def test_an_alert_that_is_resolved_is_gone(seen: Seen) -> None:
    seen.take("alert", {**ALERT, "labels": {"provider": "another"}, "state": "resolved"})
    assert len(seen.alerts) == 1
    seen.take("alert", {**ALERT, "state": "resolved"})
    assert not any(line.startswith("FIRING") for line in drawn(seen))


def test_before_the_first_figures_it_says_so() -> None:
    seen = Seen("http://127.0.0.1:8080")
    assert drawn(seen) == ["llm-service  unknown  http://127.0.0.1:8080", "", "waiting for the first figures"]


def test_trouble_is_said_at_the_top(seen: Seen) -> None:
    seen.trouble = "connection_lost: it is away. Trying again."
    assert drawn(seen)[1] == seen.trouble


@given(width=st.integers(1, 200), height=st.integers(1, 60))
def test_nothing_is_larger_than_the_terminal(width: int, height: int) -> None:
    seen = Seen("http://127.0.0.1:8080", health={"version": "1.2.3", "status": "ok"})
    seen.take("metrics", FIGURES)
    seen.take("alert", ALERT)
    seen.take("request", FAILED)
    lines = drawn(seen, width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_what_others_have_written_does_nothing_to_the_terminal(seen: Seen) -> None:
    evil = "a\x1b]0;title\x07b\nc\x9b31m"
    rows = [{**FIGURES["by_model"][0], "name": evil}]
    seen.take("metrics", {**FIGURES, "by_model": rows, "by_provider": rows})
    seen.take("request", {**FAILED, "error": evil, "provider": evil, "error_code": evil})
    seen.take("alert", {**ALERT, "summary": evil, "rule": evil, "labels": {evil: evil}})
    seen.trouble = evil
    for line in drawn(seen):
        assert line.isprintable(), line


def test_colours_are_used_where_they_are_wanted(seen: Seen) -> None:
    plain, coloured = drawn(seen), drawn(seen, colour=True)
    assert not any("\x1b" in line for line in plain)
    assert "\x1b[31mFIRING \x1b[0m" in "".join(coloured)


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], "     "),
        ([0.0, 0.0], "   ▁▁"),
        ([None, 4.0, 8.0], "   ▅█"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "▅▆▇██"),
    ],
)
def test_bars_are_as_high_as_their_share_of_the_largest(values: list[float | None], bars: str) -> None:
    assert sparkline(values, width=5) == bars


def test_a_terminal_without_bars_gets_others() -> None:
    assert len(PLAIN_BARS) == len(BARS)
    assert sparkline([0, 8], width=2, bars=PLAIN_BARS) == PLAIN_BARS[0] + PLAIN_BARS[-1]


def test_values_are_as_people_read_them() -> None:
    assert [rate(value) for value in (0, 0.25, 7.06, 1234.5)] == ["0.0", "0.25", "7.1", "1,234"]
    assert [share(value) for value in (None, 0.0, 0.1234)] == ["-", "0.0%", "12.3%"]
    assert [seconds(value) for value in (None, 0.0123, 2.0)] == ["-", "12 ms", "2.0 s"]
    assert [duration(value) for value in (5.9, 60, 7320, 90_000)] == ["5 s", "1 min", "2 h 2 min", "1 d 1 h"]


def test_for_programs_figures_are_shown_once_and_trouble_beside_them(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    show_json(seen)
    seen.trouble = "connection_lost: it is \x1b[2Jaway."
    show_json(seen)
    shown = capsys.readouterr()
    assert orjson.loads(shown.out) == FIGURES
    assert shown.err == "connection_lost: it is [2Jaway.\n"


async def test_who_was_met_once_is_waited_for_whatever_answers_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_service.cli.top.AGAIN_S", 0)
    troubles: list[str | None] = []
    watch = Watch(Flaky("not_understood"), lambda seen: troubles.append(seen.trouble), once=False)
    with pytest.raises(Unanswered, match="key_revoked"):
        await watch.run(1)
    assert [said is not None for said in troubles] == [True, False]


class Flaky(Server):
    """Breaks off after it was met, comes back with figures, and is over then."""

    def __init__(self, first: str) -> None:
        super().__init__("http://127.0.0.1:8080", None)
        object.__setattr__(self, "_ends", [first, "key_revoked"])

    async def read(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        return {"/health": {"status": "ok"}, "/admin/alerts": {"data": []}}.get(
            path, {"series": {"requests_per_s": [None] * 60}}
        )

    async def events(
        self, path: str, wanted: Mapping[str, str], *, silent_s: float
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        ends: list[str] = self._ends  # type: ignore[attr-defined]
        if len(ends) == 1:
            yield "metrics", FIGURES
        raise Unanswered(ends.pop(0), "It ends.")
