"""A secret shows itself nowhere but through `reveal`."""

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Secret

KEY = "sk-test-canary-0123456789"


@dataclass(frozen=True)
class Holder:
    key: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(KEY)),
        repr(Secret(KEY)),
        f"{Secret(KEY)}",
        f"{Secret(KEY)!r:>30}",
        f"{Secret(KEY)} {Secret(KEY)!r}",
        str([Secret(KEY)]),
        str(Holder(Secret(KEY))),
        str(asdict(Holder(Secret(KEY)))),
        json.dumps({"key": Secret(KEY)}, default=str),
        logging.LogRecord("a", 1, "b", 1, "%s", (Secret(KEY),), None).getMessage(),
        pickle.dumps(Secret(KEY)).decode("latin-1"),
        str(pickle.loads(pickle.dumps(Secret(KEY)))),
    ],
)
def test_every_way_of_showing_gives_stars(shown: str) -> None:
    assert "***" in shown
    assert "canary" not in shown


def test_format_pads_the_stars() -> None:
    assert f"{Secret(KEY):>5}" == "  ***"


def test_json_does_not_take_it_by_itself() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))


def test_it_has_no_attributes_to_list() -> None:
    with pytest.raises(TypeError):
        vars(Secret(KEY))


def test_reveal_gives_the_secret() -> None:
    assert Secret(KEY).reveal() == KEY


def test_copies_are_the_secret_itself() -> None:
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_what_is_unpickled_cannot_be_used_as_a_secret() -> None:
    assert not hasattr(pickle.loads(pickle.dumps(Secret(KEY))), "reveal")


@given(st.text(min_size=1), st.text(min_size=1))
def test_equal_exactly_when_the_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))


def test_lone_surrogates_of_an_undecodable_environment_compare() -> None:
    assert Secret("k\udcff") != Secret("k\udcfe")


def test_never_equal_to_a_text() -> None:
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), KEY}) == 2


def test_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Secret("")


def test_it_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Secret(KEY)._text = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del Secret(KEY)._text
