"""The Dockerfile: what it is made of, who runs in it, and that no secret and no compiler gets in."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
from scripts.image.dockerfile import DOCKERFILE, NotUnderstoodError, filled, read

from llm_service import __version__
from tests.architecture.test_locks import PROJECT
from tests.support.deploy import CHECKOUT

BUILD, IMAGE = read()
SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL", re.IGNORECASE)


def test_both_stages_begin_with_one_base_that_is_pinned_by_its_digest() -> None:
    assert BUILD.base == IMAGE.base
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", BUILD.base)


def test_the_last_stage_installs_nothing() -> None:
    (run,) = IMAGE.all("RUN")
    assert [part.split()[:2] for part in run.text.split("&&")] == [["install", "-d"]] * 2
    assert [step.words for step in IMAGE.all("COPY") if "from" in step.options] == [["/opt/llm-service"] * 2]


def test_packages_come_by_the_hashes_of_locks_and_are_not_compiled() -> None:
    script = (CHECKOUT / "deploy" / "container" / "build").read_text(encoding="utf-8")
    packages, service = BUILD.all("RUN")
    assert packages.words == ["deploy/container/build", "packages", "run", "jwt"]
    assert service.words == ["deploy/container/build", "service"]
    assert "--require-hashes --only-binary :all: -r" in script
    assert (
        re.findall(r"--index-url|--extra-index|--find-links|apt|curl|wget", script + DOCKERFILE.read_text("utf-8"))
        == []
    )


def test_every_extra_can_be_had() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert all((CHECKOUT / "requirements" / f"{extra}.lock").exists() for extra in (*extras, "run", "build"))
    assert {extra: PROJECT["dependency-groups"][extra] for extra in extras} == extras


def test_whoever_runs_in_it_is_not_root_and_has_a_number() -> None:
    user, _, group = IMAGE.last("USER").text.partition(":")
    assert int(user) == int(group) == 65532
    (run,) = IMAGE.all("RUN")
    assert f"-o {user} -g {group} {IMAGE.last('VOLUME').words[0]}" in run.text


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_no_shell_stands_between_a_signal_and_the_service(name: str) -> None:
    assert IMAGE.last(name).in_exec_form
    assert IMAGE.last("STOPSIGNAL").text == "SIGTERM"


def test_it_is_asked_how_it_is_by_a_command_of_its_own() -> None:
    entry, probe = IMAGE.last("ENTRYPOINT").words, IMAGE.last("HEALTHCHECK").words
    assert probe == [*entry, "health"]
    assert {"interval", "timeout", "start-period", "retries"} <= IMAGE.last("HEALTHCHECK").options.keys()


def test_the_version_is_the_one_of_the_source() -> None:
    labels = {name: filled(value, IMAGE.arguments) for name, value in IMAGE.pairs("LABEL").items()}
    assert IMAGE.arguments["VERSION"] == __version__, "the version's one place is src/llm_service/__init__.py"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]
    assert labels["org.opencontainers.image.description"] == PROJECT["project"]["description"]


def test_nothing_in_it_is_a_secret() -> None:
    named = [*BUILD.arguments, *IMAGE.arguments, *IMAGE.pairs("ENV"), *IMAGE.pairs("LABEL")]
    assert [name for name in named if SECRET.search(name)] == []


def test_it_serves_all_addresses_without_the_sandbox_and_keeps_its_data_in_the_volume() -> None:
    variables = IMAGE.pairs("ENV")
    assert variables["LLM_SERVICE_SERVER__HOST"] == "0.0.0.0"
    assert variables["LLM_SERVICE_SANDBOX"] == "off"
    assert [variables["STATE_DIRECTORY"]] == IMAGE.last("VOLUME").words
    assert variables["LLM_SERVICE_SERVER__PORT"] == IMAGE.last("EXPOSE").text


# -- .dockerignore


def let_through(name: str) -> bool:
    """Whether the builder sees a file (the last pattern that fits decides)."""
    seen = True
    for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or line.startswith("#"):
            continue
        anywhere = pattern.removeprefix("**/")
        parts = [str(Path(*Path(name).parts[:end])) for end in range(1, len(Path(name).parts) + 1)]
        fits = (
            any(fnmatch(part, anywhere) for part in Path(name).parts)
            if pattern.startswith("**/")
            else any(fnmatch(part, pattern) and part.count("/") == pattern.count("/") for part in parts)
        )
        if fits:
            seen = line.startswith("!")
    return seen


def tracked(source: str) -> list[str]:
    command = ("git", "ls-files", "-z", source)
    return subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True).stdout.decode().split("\0")[:-1]


def test_what_is_copied_is_let_through() -> None:
    for step in (*BUILD.all("COPY"), *IMAGE.all("COPY")):
        for source in () if "from" in step.options else step.words[:-1]:
            names = tracked(source)
            assert names, source
            assert [name for name in names if not let_through(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.20261126T000000Z", ".git/config", "data/hash.key", "llm-service.yaml", "src/llm_service/.env"),
        *("tests/conftest.py", "src/llm_service/__pycache__/a.pyc", "deploy/compose/valkey.conf", "src/other.py"),
    ],
)
def test_secrets_state_and_history_are_not(name: str) -> None:
    assert not let_through(name)


# -- the reader


def test_what_the_reader_does_not_know_is_an_error(tmp_path: Path) -> None:
    for text in ("FROM a\nADD b c\n", "RUN a\nFROM b\n"):
        (tmp_path / "Dockerfile").write_text(text, encoding="utf-8")
        with pytest.raises(NotUnderstoodError):
            read(tmp_path / "Dockerfile")


def test_arguments_from_before_the_stages_are_theirs_once_they_say_so(tmp_path: Path) -> None:
    text = "ARG A=1\nFROM b:${A} AS c\nARG A\nARG B=2\nRUN x ${A} ${B} \\\n  # why\n  ${C}\nFROM c\nRUN ${A}\n"
    (tmp_path / "Dockerfile").write_text(text, encoding="utf-8")
    first, second = read(tmp_path / "Dockerfile", B="3")
    assert (first.base, first.name) == ("b:1", "c")
    assert first.last("RUN").text.split() == ["x", "1", "3", "${C}"]
    assert second.last("RUN").text == "${A}"
