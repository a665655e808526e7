"""Which tests are traced for the coverage figure: those that are about the code itself, not those of many requests.

Tracing makes a test half as long again. Suites of whole requests go over the same lines a thousand times; of them those
are traced that alone come to a room's code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

E2E: Final = "e2e"
TRACED: Final = frozenset(
    """test_explain.py test_graphql.py test_graphql_socket.py test_process.py test_resume.py test_semantic.py
    test_websocket.py test_whole_response.py test_workers.py""".split()
)
"""Of the suites of whole requests."""
UNTRACED: Final = frozenset(
    """test_deepseek.py test_garbage.py test_hostile_requests.py test_memory_cache.py test_rules.py
    test_table.py""".split()
)
"""Of the others: much arithmetic over few lines, or no line of ours."""


class Covering:
    """Stops tracing before a test that is not to be traced, its fixtures included, and goes on before the next one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stopped = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        plugin = self._config.pluginmanager.get_plugin("_cov")
        controller = getattr(plugin, "cov_controller", None)
        if controller is not None and self._stopped is is_traced(item.path):
            (controller.resume if self._stopped else controller.pause)()
            self._stopped = not self._stopped
        return (yield)


def is_traced(path: Path) -> bool:
    """Whether the lines that a test's module goes over count."""
    return path.name in TRACED if E2E in path.parts else path.name not in UNTRACED


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Covering(config))
