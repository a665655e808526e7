"""What holds for every test: no network but loopback, bounded generators, honest skips."""

import os
import signal

import pytest
from hypothesis import settings

pytest_plugins = [
    "pytester",
    "tests.support.collecting",
    "tests.support.evidence",
    "tests.support.network",
    "tests.support.postgres",
    "tests.support.skips",
    "tests.support.timed",
    "tests.support.valkey",
]

pytest.register_assert_rewrite("tests.support.limit_machine")  # it says what differs, as a test would

# Nothing of the developer's own environment may change what a test sees.
_FOREIGN_PREFIXES = ("LLM_SERVICE_", "OPENAI_", "LANGCHAIN_", "LANGSMITH_")
_FOREIGN_NAMES = frozenset(("REDIS_URL", "DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"))
_OURS = "LLM_SERVICE_TEST_"
LEAST_WORKERS = 4

settings.register_profile("bounded", max_examples=60, deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("bounded"), derandomize=True)
settings.register_profile("full", max_examples=2_000, deadline=None, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="every seed and soak as well, and the evidence of it")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a run in the background: children would never hear Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in tuple(os.environ):
        foreign = name.upper() in _FOREIGN_NAMES or name.startswith(_FOREIGN_PREFIXES)
        if foreign and not name.startswith(_OURS):
            del os.environ[name]
    if config.getoption("--full"):
        settings.load_profile("full")
    else:
        settings.load_profile("ci" if os.environ.get("CI") else "bounded")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int | None:
    """At least four: more than half of a worker's time is waiting, above all for processes that start or end."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return max(LEAST_WORKERS, os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    if full:
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in full]
