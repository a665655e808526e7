"""The lock files hold what pyproject.toml asks for, by hash, and say nothing of where it comes from."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
LOCKS = sorted((CHECKOUT / "requirements").glob("*.lock"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
ASKED_FOR = {"run": PROJECT["project"]["dependencies"], **PROJECT["dependency-groups"]}


def pins(lock: Path) -> Iterator[tuple[Requirement, str]]:
    """Each pinned requirement, and the text of its entry."""
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        yield Requirement(entry.partition("\\\n")[0]), entry


def versions(lock: Path) -> dict[tuple[str, Marker | None], str]:
    return {(canonicalize_name(pin.name), pin.marker): str(pin.specifier) for pin, _ in pins(lock)}


def test_there_is_a_lock_for_every_group() -> None:
    assert {lock.stem for lock in LOCKS} == set(ASKED_FOR)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_has_its_hash(lock: Path) -> None:
    assert [pin.name for pin, entry in pins(lock) if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "lock", [*LOCKS, *CHECKOUT.glob("tests/clients/*/package-lock.json")], ids=lambda lock: lock.name
)
def test_no_lock_names_a_place(lock: Path) -> None:
    assert re.findall(r"\w+://\S+|\"resolved\"", lock.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("group", ASKED_FOR)
def test_a_lock_satisfies_what_is_asked_for(group: str) -> None:
    pinned = {
        name: version.removeprefix("==")
        for (name, _), version in versions(CHECKOUT / f"requirements/{group}.lock").items()
    }
    wanted = map(Requirement, ASKED_FOR[group])
    unfit = [str(want) for want in wanted if pinned.get(canonicalize_name(want.name), "none") not in want.specifier]
    assert unfit == []


def test_no_package_has_two_versions_in_two_locks() -> None:
    everywhere = dict[tuple[str, Marker | None], str]()
    for lock in LOCKS:
        here = versions(lock)
        assert {name: everywhere[name] for name in here.keys() & everywhere.keys()}.items() <= here.items()
        everywhere |= here
