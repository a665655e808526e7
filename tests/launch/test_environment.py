"""./serve and ./test set themselves up: shown on copies of the checkout with a service that describes itself."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
SPEAKER = """\
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "pid": os.getpid(), "cwd": os.getcwd(), "env": dict(os.environ)}))
sys.exit(os.environ.get("FAILS_WITH", "nothing") in sys.argv)
"""
# Stands in for uv in a tenth of the time of venv and pip: environments stay without pip, installing does nothing.
QUICK_UV = """\
#!/bin/sh
for last; do :; done
case "$1" in
  venv) exec "$PYTHON" -I -m venv --without-pip "$last" ;;
  pip) test ! -s "$last" || grep -q "^# changed" "$last" ;;
esac
"""


@dataclass(frozen=True)
class Copy:
    """A checkout with the real scripts; runs them in an environment of its own."""

    path: Path
    home: Path

    def start(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> "subprocess.Popen[str]":
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        variables = {"PATH": path, "HOME": str(self.home), "PYTHON": sys.executable, **variables}
        return subprocess.Popen(
            command, cwd=cwd or self.path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> "Told":
        process = self.start(*command, cwd=cwd, **variables)
        output, errors = process.communicate(timeout=50)
        return Told(process.pid, process.returncode, output, errors)


@dataclass(frozen=True)
class Told:
    pid: int
    status: int
    output: str
    errors: str

    @property
    def said(self) -> Mapping[str, Any]:
        (said,) = self.all_said
        return said

    @property
    def all_said(self) -> list[Mapping[str, Any]]:
        assert self.status == 0, self.errors
        return [json.loads(line) for line in self.output.splitlines()]


def copy_to(folder: Path) -> Copy:
    path, home = folder / "a checkout", folder / "home"
    shutil.copytree(CHECKOUT / "scripts", path / "scripts")
    for name in ("serve", "test"):
        shutil.copy(CHECKOUT / name, path / name)
    (path / "requirements").mkdir()
    for layer in ("run", "test", "semantic", "deploy", "e2e", "e2e-model"):
        (path / "requirements" / f"{layer}.lock").touch()
    for module in ("llm_service/__main__.py", "pytest.py"):
        (path / "src" / module).parent.mkdir(parents=True, exist_ok=True)
        (path / "src" / module).write_text(SPEAKER, encoding="utf-8")
    (path / "tests" / "clients" / "node").mkdir(parents=True)
    executable(home / "bin" / "uv", QUICK_UV)
    return Copy(path, home)


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Copy:
    return copy_to(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy that has been started once; tests leave it as it is."""
    copy = copy_to(tmp_path_factory.mktemp("ready"))
    assert copy.run("./serve").said["argv"] == ["serve"]
    return copy


def environment_of(copy: Copy) -> Path:
    return copy.path / ".venvs" / "run"


def test_serve_hands_its_arguments_on(ready: Copy) -> None:
    assert ready.run("./serve", "--port", "0", "a b").said["argv"] == ["serve", "--port", "0", "a b"]


def test_serve_becomes_the_service_so_that_signals_reach_it(ready: Copy) -> None:
    told = ready.run("./serve")
    assert told.said["pid"] == told.pid


def test_serve_works_from_another_directory_by_a_link(ready: Copy, tmp_path: Path) -> None:
    link = tmp_path / "gateway"
    link.symlink_to(ready.path / "serve")
    said = ready.run("./gateway", cwd=tmp_path).said
    assert said["cwd"] == str(tmp_path)
    assert said["env"]["STATE_DIRECTORY"] == str(ready.path / "data")


def test_a_data_dir_that_the_user_names_stays(ready: Copy) -> None:
    said = ready.run("./serve", STATE_DIRECTORY="/elsewhere").said
    assert said["env"]["STATE_DIRECTORY"] == "/elsewhere"


def test_modules_of_the_callers_directory_and_path_are_not_imported(ready: Copy, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the caller')", encoding="utf-8")
    assert ready.run(ready.path / "serve", cwd=tmp_path, PYTHONPATH=str(tmp_path)).status == 0


def test_a_second_start_looks_for_no_python(ready: Copy, tmp_path: Path) -> None:
    for name in ("python3", "uv"):
        executable(tmp_path / name, "#!/bin/sh\necho asked >&2\nexit 1\n")
    told = ready.run("./serve", PATH=f"{tmp_path}:{os.environ['PATH']}", PYTHON=str(tmp_path / "python3"))
    assert (told.status, told.errors) == (0, "")


def test_the_environment_has_the_command_itself(ready: Copy) -> None:
    command = environment_of(ready) / "bin" / "llm-service"
    assert ready.run(command, "models", "--json").said["argv"] == ["models", "--json"]


def test_a_changed_lock_remakes_the_environment(fresh: Copy) -> None:
    fresh.run("./serve")
    left_over = environment_of(fresh) / "left-over"
    left_over.touch()
    (fresh.path / "requirements" / "run.lock").write_text("# changed\n", encoding="utf-8")
    assert fresh.run("./serve").status == 0
    assert not left_over.exists()


def test_an_interrupted_installation_is_done_again(fresh: Copy) -> None:
    fresh.run("./serve")
    (environment_of(fresh) / "locks" / "unfinished").touch()
    assert "Making the Python environment" in fresh.run("./serve").errors
    assert fresh.run("./serve").errors == ""


def test_a_lock_that_neither_uv_nor_pip_can_install_is_an_error(fresh: Copy) -> None:
    (fresh.path / "requirements" / "run.lock").write_text("no-such-package @ file:///nowhere\n", encoding="utf-8")
    told = fresh.run("./serve")
    assert told.status == 1
    assert "requirements/run.lock could not be installed" in told.errors
    assert (environment_of(fresh) / "locks" / "unfinished").exists()


def test_two_first_starts_at_once_make_one_environment(fresh: Copy) -> None:
    starts = [fresh.start("./serve") for _ in range(2)]
    errors = [start.communicate(timeout=50)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert sum("Making the Python environment" in error for error in errors) == 1


def test_a_moved_checkout_makes_its_environment_again(fresh: Copy, tmp_path: Path) -> None:
    fresh.run("./serve")
    moved = Copy(fresh.path.rename(tmp_path / "moved"), fresh.home)
    assert moved.run("./serve").said["env"]["STATE_DIRECTORY"] == str(tmp_path / "moved" / "data")


def test_a_checkout_that_cannot_be_written_says_what_to_do(fresh: Copy) -> None:
    (fresh.path / ".venvs").touch()  # in the way, also of root
    told = fresh.run("./serve")
    assert told.status == 1
    assert "LLM_SERVICE_VENV_DIR" in told.errors


def test_the_environment_can_lie_elsewhere(fresh: Copy, tmp_path: Path) -> None:
    said = fresh.run("./serve", LLM_SERVICE_VENV_DIR=str(tmp_path / "environments")).said
    assert (tmp_path / "environments" / "run" / "bin" / "python").exists()
    assert not (fresh.path / ".venvs").exists()
    assert "LLM_SERVICE_VENV_DIR" not in said["env"]


def bare_path(folder: Path, **programs: str) -> str:
    """A PATH with what the scripts need of a system, and the given shell programs."""
    folder.mkdir()
    for name in ("bash", "env", "readlink", "cat"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, text in programs.items():
        executable(folder / name, f"#!/bin/sh\n{text}\n")
    return str(folder)


@pytest.mark.parametrize("programs", [{}, {"python3": "echo 310"}], ids=["no Python", "an old Python"])
def test_a_machine_without_a_python_is_told(fresh: Copy, tmp_path: Path, programs: Mapping[str, str]) -> None:
    told = fresh.run("./serve", PATH=bare_path(tmp_path / "bin", **programs), PYTHON="")
    assert told.status == 1
    assert "needs Python 3.11 or newer" in told.errors


def test_a_python_without_venv_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fresh: Copy
) -> None:
    maker = module_of(CHECKOUT / "scripts" / "make_environment.py")
    monkeypatch.setattr(maker.shutil, "which", lambda _name: None)
    monkeypatch.setattr(maker, "has_venv", lambda: False)
    assert maker.main(str(environment_of(fresh)), str(fresh.path), "run") == 1
    assert "-venv" in capsys.readouterr().err


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_suite_runs_whole_with_its_floor_and_in_part_without(fresh: Copy) -> None:
    rooms = {f"tests/{path.name}" for path in (CHECKOUT / "tests").iterdir() if [*path.rglob("test_*.py")]}
    for room in rooms:
        (fresh.path / room).mkdir(exist_ok=True)
    traced, untraced = (said["argv"] for said in fresh.run("./test").all_said)
    assert "--cov-fail-under" in traced
    assert "--cov" not in untraced
    halves = [
        (
            {word for word in half if word.startswith("tests/")},
            {word.removeprefix("--ignore=") for word in half if word.startswith("--ignore=")},
        )
        for half in (traced, untraced)
    ]
    (of_one, not_of_one), (of_other, not_of_other) = halves
    assert not_of_one <= of_other  # what one half leaves out is the other's
    assert not_of_other <= of_one
    assert all((CHECKOUT / name).exists() for name in not_of_one | not_of_other)
    assert of_one - not_of_other | of_other - not_of_one >= rooms
    assert not of_one & of_other
    assert fresh.run("./test", "tests/unit", "-k", "a b").said["argv"] == ["-rs", "tests/unit", "-k", "a b"]
    assert fresh.run("./test", "--full", "-x").said["argv"] == ["-rs", "--full", "-x"]


def test_what_the_suite_has_compiled_is_kept(fresh: Copy) -> None:
    for said in fresh.run("./test", PYTHONDONTWRITEBYTECODE="1").all_said:
        assert "PYTHONDONTWRITEBYTECODE" not in said["env"]


def test_either_half_of_the_suite_can_fail_it(fresh: Copy) -> None:
    assert fresh.run("./test").status == 0
    for half in ("--cov", "tests/e2e"):
        assert fresh.run("./test", FAILS_WITH=half).status != 0
