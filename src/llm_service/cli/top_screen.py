"""What ``top`` shows: the state of a service as lines for a terminal of any size."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from llm_service.cli.client import CONTROLS
from llm_service.cli.sparkline import BARS, sparkline

MINUTE: Final = 60
MOST_ERRORS: Final = 8
MOST_ALERTS: Final = 8
NARROW: Final = 56
"""Fewer columns than that leave no room for all figures of a line."""
FAILED: Final = ("error", "interrupted")
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400

Style = Literal["plain", "bold", "faint", "good", "warning", "bad"]
CODES: Final[Mapping[Style, str]] = {
    "plain": "",
    "bold": "1",
    "faint": "2",
    "good": "32",
    "warning": "33",
    "bad": "31",
}
Line = Sequence[tuple[str, Style]]
Object = Mapping[str, Any]


@dataclass
class Seen:
    """What is known of a service. ``trouble``: why nothing new comes."""

    url: str
    health: Object = field(default_factory=dict)
    figures: Object | None = None
    requests: deque[float | None] = field(default_factory=lambda: deque(maxlen=MINUTE))
    alerts: dict[tuple[str, ...], Object] = field(default_factory=dict)
    errors: deque[Object] = field(default_factory=lambda: deque(maxlen=MOST_ERRORS))
    trouble: str | None = None

    def take(self, kind: str, data: Object) -> None:
        """Take in an event."""
        match kind:
            case "metrics":
                self.figures = data
                self.requests.append(data.get("requests_per_s"))
            case "alert":
                self.take_alert(data)
            case "request" if data.get("status") in FAILED:
                self.errors.append(data)

    def take_alert(self, alert: Object) -> None:
        """It fires, or does no more."""
        labels = alert.get("labels") or {}
        key = (str(alert.get("rule")), *(f"{name}={value}" for name, value in sorted(labels.items())))
        if alert.get("state") == "firing":
            self.alerts[key] = alert
        else:
            self.alerts.pop(key, None)


def screen(seen: Seen, *, width: int, height: int, bars: str = BARS) -> list[Line]:
    """At most so many lines of so many columns, the most important first."""
    parts: list[Iterable[Line]] = [_head(seen), _figures(seen, width, bars), _alerts(seen)]
    if seen.figures is not None:
        parts += [_table("provider", seen.figures["by_provider"], width)]
        parts += [_table("model", seen.figures["by_model"], width)]
    parts.append(_errors(seen))
    lines: list[Line] = []
    for part in parts:
        found = list(part)
        if found and lines:
            lines.append(())
        lines += found
    return [_cut(line, width) for line in lines[:height]]


def text_of(line: Line, *, colour: bool) -> str:
    """The line as a terminal takes it; without colours as plain text."""
    if not colour:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{CODES[style]}m{text}\x1b[0m" if CODES[style] else text for text, style in line)


def _head(seen: Seen) -> Iterator[Line]:
    health = seen.health
    status = clean(health.get("status", "unknown"))
    said: list[tuple[str, Style]] = [(clean(f"llm-service {health.get('version', '')}".strip()), "bold")]
    if health.get("sandbox"):
        said.append(("SANDBOX", "warning"))
    said.append((status, "good" if status == "ok" else "warning"))
    if "uptime_s" in health:
        said.append((f"up {duration(health['uptime_s'])}", "plain"))
    if seen.figures is not None:
        workers = seen.figures["workers"]
        if workers:
            said.append((f"{workers} worker{'s' if workers > 1 else ''}", "plain"))
        said.append((f"{seen.figures['in_flight']} in flight", "plain"))
    said.append((seen.url, "faint"))
    yield [piece for one in said for piece in (one, ("  ", "plain"))][:-1]
    if seen.trouble is not None:
        yield [(clean(seen.trouble), "bad")]


def _figures(seen: Seen, width: int, bars: str) -> Iterator[Line]:
    figures = seen.figures
    if figures is None:
        yield [("waiting for the first figures", "faint")]
        return
    now = f"{rate(figures['requests_per_s'])}/s"
    row = sparkline(list(seen.requests), width=max(0, min(MINUTE, width - 22)), bars=bars)
    yield [("requests  ", "faint"), (now.rjust(9), "bold"), ("  ", "plain"), (row, "good")]
    ratio = figures["error_ratio"]
    failed: Style = "bad" if ratio else "plain"
    failing = f"{rate(figures['errors_per_s'])}/s"
    yield [("errors    ", "faint"), (f"{failing:>9}  {share(ratio)}", failed)]
    yield _pairs("latency", [(name, seconds(figures[f"latency_{name}_s"])) for name in ("p50", "p95", "p99")])
    yield _pairs("first", [(name, seconds(figures[f"first_chunk_{name}_s"])) for name in ("p50", "p95")])
    yield _pairs("tokens", [(name, f"{rate(figures[f'{name}put_tokens_per_s'])}/s") for name in ("in", "out")])
    yield _pairs("cost", [("", f"${figures['cost_usd_per_h']:,.2f}/h"), ("hits", share(figures["hit_ratio"]))])


def _pairs(name: str, pairs: Sequence[tuple[str, str]]) -> Line:
    line: list[tuple[str, Style]] = [(name.ljust(10), "faint")]
    for label, value in pairs:
        line += [(f"{label} " if label else "", "faint"), (f"{value}   ", "plain")]
    return line


def _alerts(seen: Seen) -> Iterator[Line]:
    for alert in [*seen.alerts.values()][:MOST_ALERTS]:
        labels = "".join(f" {name}={value}" for name, value in sorted((alert.get("labels") or {}).items()))
        yield [
            ("FIRING ", "bad"),
            (clean(f"{alert.get('severity', '')} {alert.get('rule', '')}".strip()), "bold"),
            (clean(labels), "faint"),
            (clean(f"  {alert.get('summary') or ''}"), "plain"),
        ]
    if len(seen.alerts) > MOST_ALERTS:
        yield [(f"and {len(seen.alerts) - MOST_ALERTS} more alerts", "bad")]


def _table(head: str, rows: Sequence[Object], width: int) -> Iterator[Line]:
    if not rows:
        return
    wide = width >= NARROW
    columns = 10 + 9 + (10 if wide else 0)
    names = max(8, min(max(len(head), *(len(clean(row["name"])) for row in rows)), width - columns))
    yield [(f"{head:<{names}}{'req/s':>10}{'errors':>9}{'p95':>10}"[: names + columns], "faint")]
    for row in rows:
        failed: Style = "bad" if row["error_ratio"] else "plain"
        line: list[tuple[str, Style]] = [
            (clean(row["name"])[:names].ljust(names), "plain"),
            (rate(row["requests_per_s"]).rjust(10), "plain"),
            (share(row["error_ratio"]).rjust(9), failed),
        ]
        yield [*line, (seconds(row["latency_p95_s"]).rjust(10), "plain")] if wide else line


def _errors(seen: Seen) -> Iterator[Line]:
    if seen.errors:
        yield [("last errors", "faint")]
    for error in reversed(seen.errors):
        asked = "/".join(str(error[name]) for name in ("provider", "upstream_model") if error.get(name))
        yield [
            (f"{str(error.get('at', ''))[11:19]}  ", "faint"),
            (clean(f"{error.get('error_code', error['status'])}  "), "bad"),
            (clean(f"{asked or error.get('model') or ''}  "), "plain"),
            (clean(error.get("error") or ""), "faint"),
        ]


def _cut(line: Line, width: int) -> Line:
    """What fits; the last column says where something is missing."""
    if sum(len(text) for text, _ in line) <= width:
        return line
    left, kept = width, list[tuple[str, Style]]()
    for text, style in line:
        kept.append((text[:left], style))
        left -= len(text)
        if left <= 0:
            break
    return kept


# -- values as people read them


def clean(text: object) -> str:
    """One line that does nothing to a terminal."""
    return " ".join(str(text).translate(CONTROLS).split("\n")).replace("\t", " ")


def rate(value: float) -> str:
    """A number with about three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 or not value else f"{value:.2f}"


def share(value: float | None) -> str:
    """A ratio in percent; a dash where there is none."""
    return "-" if value is None else f"{value:.1%}"


def seconds(value: float | None) -> str:
    """A duration; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def duration(value: float) -> str:
    """How long something lasts already, in its two largest units."""
    whole = int(value)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"
