"""Skips are counted, not overlooked: in strict mode each needs a reason that tests/allowed_skips.txt allows."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

STRICT = "LLM_SERVICE_TEST_STRICT_SKIPS"
ALLOWED = Path(__file__).parents[1] / "allowed_skips.txt"


class SkipCheck:
    """Reads every report of a run, with pytest-xdist those of all its workers."""

    def __init__(self, allowed: Iterable[re.Pattern[str]]) -> None:
        self._allowed = tuple(allowed)
        self._forbidden: list[str] = []
        self._passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._passed += report.when == "call" and report.passed
        self._see(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._see(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (self._forbidden or not self._passed) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._passed:
            terminalreporter.line("No test passed: nothing was shown.", red=True)
        if self._forbidden:
            terminalreporter.section(f"skipped for a reason that {ALLOWED.name} does not allow", red=True)
            terminalreporter.write_line("\n".join(self._forbidden))

    def _see(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = reason_of(report)
        if not any(pattern.fullmatch(reason) for pattern in self._allowed):
            self._forbidden.append(f"{report.nodeid}: {reason}")


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def patterns(text: str) -> list[re.Pattern[str]]:
    """One regular expression a line, for the whole reason; blank lines and lines that begin with # do not count."""
    return [re.compile(line) for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def pytest_configure(config: pytest.Config) -> None:
    worker = hasattr(config, "workerinput")  # the controller of pytest-xdist sees the reports of its workers
    if os.environ.get(STRICT) == "1" and not worker:
        config.pluginmanager.register(SkipCheck(patterns(ALLOWED.read_text(encoding="utf-8"))), "skip-check")
