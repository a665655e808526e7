"""The source distribution makes the same wheel as the checkout, byte for byte, whenever and wherever it is built."""

import re
import stat
import tarfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
from markdown_it import MarkdownIt
from trove_classifiers import classifiers

from llm_service import __version__
from tests.architecture.test_locks import CHECKOUT, PROJECT
from tests.architecture.test_wheel import tracked
from tests.support.distribution import built

ABOUT = {"CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
"""Beside the package: hatchling adds the last two by itself."""
TOP = f"llm_service-{__version__}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distribution")


@pytest.fixture(scope="module")
def sdist(place: Path) -> Path:
    return built(place / "sdist", Path(CHECKOUT), "sdist")


@pytest.fixture(scope="module")
def unpacked(place: Path, sdist: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "source", filter="data")
    return place / "source" / TOP


@pytest.fixture(scope="module")
def wheel(place: Path, unpacked: Path) -> Path:
    """Made of the source distribution."""
    return built(place / "wheel", unpacked, "wheel")


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Iterator[Message]:
    with ZipFile(wheel) as opened:
        yield message_from_bytes(opened.read(f"{TOP}.dist-info/METADATA"))


def test_it_holds_the_package_and_what_says_what_it_is(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert {one.name for one in members if one.isfile()} == {
        *(f"{TOP}/{name}" for name in ABOUT),
        *(f"{TOP}/src/{name}" for name in tracked()),
    }
    assert all(one.isfile() and stat.S_IMODE(one.mode) in {0o644, 0o755} for one in members)
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}


def test_it_makes_the_wheel_that_the_checkout_makes(place: Path, wheel: Path) -> None:
    of_checkout = built(place / "checkout", Path(CHECKOUT), "wheel")
    assert of_checkout.name == wheel.name == f"{TOP}-py3-none-any.whl"
    assert of_checkout.read_bytes() == wheel.read_bytes()


def test_it_is_the_same_each_time(place: Path, sdist: Path, unpacked: Path) -> None:
    assert built(place / "again", unpacked, "sdist").read_bytes() == sdist.read_bytes()


def test_the_wheel_says_that_it_is_typed_and_has_the_licences_of_what_it_brings(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert "llm_service/py.typed" in names
    assert f"{TOP}.dist-info/licenses/LICENSE" in names
    brought = {
        name for name in tracked() if re.match(r"LICEN|NOTICE", Path(name).name) or name.endswith(".LICENSE.txt")
    }
    assert brought
    assert brought <= names


def test_what_an_index_shows_is_the_readme_and_words_that_it_knows(metadata: Message) -> None:
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == PROJECT["project"]["license"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    described = metadata.get_payload()
    assert isinstance(described, str)
    assert described.strip() == Path(CHECKOUT, "README.md").read_text(encoding="utf-8").strip()
    assert "<h1>llm-service</h1>" in MarkdownIt("commonmark").render(described)
    assert set(metadata.get_all("Classifier", [])) <= classifiers
    assert len(metadata["Summary"]) <= 512
