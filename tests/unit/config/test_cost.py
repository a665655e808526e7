"""What loading costs: nothing of the YAML reader without a file, and little with one."""

import subprocess
import sys
import time
from pathlib import Path

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


def test_a_small_file_is_loaded_within_20_ms(configured: Configured) -> None:
    configured.load(WHOLE)  # imports the reader
    durations_s = []
    for _ in range(10):
        started = time.perf_counter()
        configured.load(WHOLE)
        durations_s.append(time.perf_counter() - started)
    assert min(durations_s) < 0.020
