"""The wheel holds the tracked files of the package, what pyproject.toml says of them, and nothing else."""

import csv
import io
import re
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.test_locks import CHECKOUT, PROJECT

MOST_DIRECT = 25
"""Direct dependencies of the runtime; each one more could read the operator's keys."""
PLACES = re.compile(rb"index-url|find-links|extra-index|/simple/|files\.pythonhosted\.org")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(CHECKOUT)
        name = build_wheel(str(folder))
    with ZipFile(folder / name) as opened:
        yield opened


@pytest.fixture(scope="module")
def info(wheel: ZipFile) -> str:
    (found,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    return found


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile, info: str) -> Message:
    return message_from_string(wheel.read(f"{info}/METADATA").decode())


def as_compared(wanted: Requirement) -> tuple[str, str, str]:
    return canonicalize_name(wanted.name), str(wanted.specifier), str(wanted.marker)


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "src"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    return {name.removeprefix("src/") for name in listed.decode().split("\0")[:-1] if Path(CHECKOUT, name).exists()}


def test_it_holds_the_tracked_files_byte_for_byte(wheel: ZipFile, info: str) -> None:
    ours = {name for name in wheel.namelist() if not name.startswith(f"{info}/")}
    assert ours - tracked() == set(), "git add what belongs into the wheel, and take away what does not"
    assert tracked() - ours == set()
    assert [name for name in sorted(ours) if wheel.read(name) != Path(CHECKOUT, "src", name).read_bytes()] == []


def test_beside_them_stand_its_metadata_alone(wheel: ZipFile, info: str) -> None:
    beside = {name.removeprefix(f"{info}/") for name in wheel.namelist() if name.startswith(f"{info}/")}
    assert beside == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert wheel.read(f"{info}/entry_points.txt").split() == [
        b"[console_scripts]",
        b"llm-service",
        b"=",
        b"llm_service.cli:main",
    ]


def test_nothing_in_it_runs_unasked_and_no_test_is_in_it(wheel: ZipFile) -> None:
    names = wheel.namelist()
    assert [name for name in names if name.endswith((".pth", ".so", ".pyd", ".dll", ".exe", ".pyc", ".egg-link"))] == []
    assert [
        name for name in names if re.search(r"(^|/)(tests?|conftest|sitecustomize|usercustomize)(/|\.py)", name)
    ] == []
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"llm_service"}


def test_its_record_has_the_digest_of_every_file(wheel: ZipFile, info: str) -> None:
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(f"{info}/RECORD").decode()))}
    assert rows.keys() == set(wheel.namelist())
    for name in rows.keys() - {f"{info}/RECORD"}:
        digest = urlsafe_b64encode(sha256(wheel.read(name)).digest()).rstrip(b"=").decode()
        assert rows[name] == f"sha256={digest}", name


def test_it_asks_for_what_the_project_asks_for(metadata: Message) -> None:
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    always = {as_compared(one) for one in asked if "extra ==" not in str(one.marker)}
    assert always == {as_compared(Requirement(text)) for text in PROJECT["project"]["dependencies"]}
    assert not any(one.url for one in asked)


def test_direct_dependencies_are_few() -> None:
    assert len(PROJECT["project"]["dependencies"]) <= MOST_DIRECT


def test_neither_it_nor_the_project_names_a_place_to_install_from(wheel: ZipFile) -> None:
    files = {name: wheel.read(name) for name in wheel.namelist() if "/static/" not in name}
    files |= {name: Path(CHECKOUT, name).read_bytes() for name in ("pyproject.toml", "serve", "test", "scripts/lock")}
    named = {name: PLACES.findall(data.replace(b"--no-emit-index-url", b"")) for name, data in files.items()}
    assert {name: places for name, places in named.items() if places} == {}
