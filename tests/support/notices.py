"""Notices and notifiers for tests."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from llm_service.alerts import Firing, Notice, NoticeFailed

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def an_alert(**other: Any) -> Firing:
    fields: dict[str, Any] = {
        "rule": "provider_down",
        "labels": {"provider": "deepseek"},
        "summary": "deepseek is down: no request of the last minute succeeded",
        "value": 1.0,
        "since": AT - timedelta(minutes=5),
        "resolved_at": None,
    }
    return Firing(**{**fields, **other})


def a_notice(*alerts: Firing, **other: Any) -> Notice:
    fields: dict[str, Any] = {
        "group": "provider_down",
        "status": "firing",
        "severity": "critical",
        "alerts": alerts or (an_alert(),),
        "at": AT,
        "instance": "gateway-1",
    }
    return Notice(**{**fields, **other})


class Said:
    """Keeps what it is told of notices."""

    def __init__(self) -> None:
        self.all: list[tuple[Notice, str, str | None]] = []

    def __call__(self, notifier: str, notice: Notice, outcome: str, error: str | None) -> None:
        assert notifier == "ops"
        self.all.append((notice, outcome, error))

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome, _ in self.all]


class Scripted:
    """A notifier that fails as a test says: each attempt takes the next of ``failures``; none left, it delivers."""

    def __init__(self, *failures: NoticeFailed | Exception | None, now: Callable[[], float]) -> None:
        self.failures = list(failures)
        self.attempts: list[tuple[float, Notice]] = []
        self._now = now

    async def deliver(self, notice: Notice) -> None:
        self.attempts.append((self._now(), notice))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
