"""What loading costs: nothing of the YAML reader without a file, and little with one."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.timed import within
from tests.unit.config.conftest import Configured
from tests.unit.config.test_file import WHOLE

LOAD = """
import sys
from pathlib import Path
from llm_service.config import load_settings

load_settings(path=None, environ={"DEEPSEEK_API_KEY": "sk-test-1"}, cwd=Path(sys.argv[1]))
print("ruamel" in "".join(sys.modules))
"""


def test_the_yaml_reader_is_not_imported_without_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "False\n"


@pytest.mark.timed
def test_loading_a_file_costs_little_beside_parsing_it(configured: Configured) -> None:
    """Some 4 ms on an idle machine, most of it the parser's; on a busy one only the ratio says something."""
    parser = YAML(typ="safe", pure=True)
    parsing_s, loading_s = [], []
    for _ in range(15):
        parsing_s.append(seconds(lambda: list(parser.parse(WHOLE))))
        loading_s.append(seconds(lambda: configured.load(WHOLE)))
    within(min(loading_s), 4 * min(parsing_s))


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
