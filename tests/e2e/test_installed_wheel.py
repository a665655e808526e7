"""What users install: the wheel of the source distribution, in an environment where the checkout is not."""

import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from llm_service import __version__
from tests.architecture.test_locks import CHECKOUT
from tests.support.distribution import Installed, built, installed
from tests.support.evidence import Evidence
from tests.support.process import run, serving
from tests.support.rest import ask, chat_body
from tests.support.timed import within

MODEL = "deepseek/deepseek-flash"
MOST_CPU_S = 60.0
MOST_S = 120.0
"""Of installing it and of its first answer: on a free core well below two minutes, packages from afar included."""
WHENCE = "import importlib.metadata as of, llm_service; print(llm_service.__file__, of.version('llm-service'))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("distribution")
    with tarfile.open(built(place / "sdist", Path(CHECKOUT), "sdist")) as archive:
        archive.extractall(place, filter="data")
    return built(place / "wheel", place / f"llm_service-{__version__}", "wheel")


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return installed(wheel, tmp_path_factory.mktemp("installed"))


async def test_it_serves_and_tells_one_version_everywhere(program: Installed) -> None:
    told = {"--version": run(program, "--version").out}
    with serving(program, "--sandbox", "on") as service:
        answer = await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL))
        health = (await ask(service.address, "GET", "/health")).json()
        openapi = (await ask(service.address, "GET", "/openapi.json")).json()
        graphql = await ask(service.address, "POST", "/graphql", b'{"query": "{ health { version } }"}')
        page = (await ask(service.address, "GET", "/dashboard/session")).json()
    assert (answer.status, answer.headers["x-llm-provider"]) == (200, "deepseek")
    told |= {"/health": health["version"], "openapi": openapi["info"]["version"], "page": page["version"]}
    told |= {"graphql": graphql.json()["data"]["health"]["version"], "log": service.log()[0]["version"]}
    assert set(told.values()) == {__version__, f"llm-service {__version__}\n"}, told


def test_it_is_a_module_as_well_and_comes_from_nowhere_else(program: Installed) -> None:
    python = str(program.environ / "bin" / "python")
    assert output_of(program, python, "-m", "llm_service", "--version") == f"llm-service {__version__}\n"
    file, version = output_of(program, python, "-c", WHENCE).split()
    assert file.startswith(str(program.environ))
    assert version == __version__


def output_of(program: Installed, *command: str) -> str:
    done = subprocess.run(
        command, env=dict(program.environment), cwd=program.folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.full
@pytest.mark.timed
@pytest.mark.timeout(600)
async def test_it_is_installed_with_all_that_it_needs(wheel: Path, tmp_path: Path, evidence: Evidence) -> None:
    begun_s, before = time.monotonic(), cpu_of_children_s()
    program = with_all_it_needs(wheel, tmp_path)
    installed_s = time.monotonic() - begun_s
    with serving(program, "--sandbox", "on") as service:
        answer = await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL))
        answered_s = time.monotonic() - begun_s
    assert answer.status == 200
    took_s = cpu_of_children_s() - before
    figures = {"installed_s": round(installed_s, 1), "first_answer_s": round(answered_s, 1), "cpu_s": round(took_s, 1)}
    evidence.record("installation", title="From a wheel to the first answer", figures=figures)
    assert took_s < MOST_CPU_S
    within(answered_s, MOST_S)


def cpu_of_children_s() -> float:
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def with_all_it_needs(wheel: Path, folder: Path) -> Installed:
    """As a user installs it: from the index, and nothing of it was there before."""
    environ, home = folder / "environment", folder / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", environ], check=True)
    pip = [environ / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, "install", wheel], check=True, env={**os.environ, "PYTHONPATH": ""})
    return Installed(home, {}, executed=True, environ=environ)
