"""Tests that hold a time to a bound: measured again where others have had the machine.

Who marks a test ``timed`` says how long something takes where it can have a core. On a machine of two cores with four
tests at once, and perhaps with others' work, it cannot always: a test that fails in ``within`` (or ``until``, with a
time), and in nothing else, is run anew, at most twice. What is slow by itself is slow each time, and fails. The end
of a run tells what took more than a try.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

TRIES = 3
AGAIN = "measured again"


class TooSlow(AssertionError):
    """Something took longer than it may where it can have a core."""


def within(took: float, most: float) -> None:
    """Raises TooSlow where a time is not below its bound; both in the same unit."""
    if not took < most:
        raise TooSlow(f"{took:.4g} is not within {most:.4g}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if item.get_closest_marker("timed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in tried(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def tried(item: pytest.Item, nextitem: pytest.Item | None) -> Sequence[pytest.TestReport]:
    """The reports of the first try that passes, or of the last."""
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for _ in range(1, TRIES):
        if not (why := slowness(reports)):
            break
        item.user_properties.append((AGAIN, why))
        item._initrequest()  # type: ignore[attr-defined]  # new fixtures
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    return reports


def slowness(reports: Sequence[pytest.TestReport]) -> str:
    """What took too long, in a line; nothing where that is not why a test failed, or it did not fail."""
    failed = [report for report in reports if report.failed]
    if len(failed) != 1 or failed[0].when != "call":
        return ""
    crash = getattr(failed[0].longrepr, "reprcrash", None)
    line = "" if crash is None else str(crash.message).splitlines()[0]
    return line if line.split(":")[0].rpartition(".")[2] in ("TooSlow", "TooLate") else ""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, why in report.user_properties:
                    if name == AGAIN:
                        terminalreporter.write_line(f"{AGAIN}: {report.nodeid}: {why}")
