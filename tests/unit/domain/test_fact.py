"""Facts are dataclasses that are compared, hashed and shown by their fields."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from llm_service.domain import fact, fact_in_order


@fact
class Place:
    """With a field that does not count, and one that is not shown."""

    name: str
    floor: int = 0
    seen: list[int] = field(default_factory=list, compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The same, as dataclasses make it."""

    name: str
    floor: int = 0
    seen: list[int] = field(default_factory=list, compare=False)
    secret: str = field(default="", repr=False)


@fact_in_order
class Pair:
    left: int
    right: int


@fact_in_order
class Nothing:
    pass


@fact
class Own:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and other.name.lower() == self.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return "own"


FIELDS: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "a", "floor": 1},
    {"name": "a", "seen": [1]},
    {"name": "a", "secret": "s"},
    {"name": "b"},
]


@pytest.mark.parametrize("one", FIELDS)
@pytest.mark.parametrize("other", FIELDS)
def test_facts_are_equal_where_dataclasses_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (Place(**one) == Place(**other)) is (Reference(**one) == Reference(**other))
    if Place(**one) == Place(**other):
        assert hash(Place(**one)) == hash(Place(**other))


@pytest.mark.parametrize("one", FIELDS)
def test_facts_are_shown_as_dataclasses_are(one: dict[str, Any]) -> None:
    assert repr(Place(**one)) == repr(Reference(**one)).replace("Reference", "Place")


def test_facts_of_different_classes_are_different() -> None:
    others: list[object] = [Reference(name="a"), ("a", 0), None]
    assert Place(name="a") not in others


def test_facts_are_values() -> None:
    assert {Pair(1, 2), Pair(1, 2), replace(Pair(3, 2), left=1)} == {Pair(1, 2)}
    assert Nothing() == Nothing()
    assert len({Nothing(), Nothing()}) == 1
    assert [one.name for one in fields(Pair)] == ["left", "right"]
    assert not hasattr(Pair(1, 2), "__dict__")


def test_methods_of_their_own_stay() -> None:
    assert Own(name="A") == Own(name="a")
    assert len({Own(name="A"), Own(name="a")}) == 1
    assert repr(Own(name="A")) == "own"
