"""Secrets in a text that grows: what was judged stays so, and none is let go before it is known."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters import LONGEST_HOLD, FilterOptions, Text
from llm_service.filters.secrets import SecretDetector, secret_detector
from tests.support.secret_forms import ALONE, FORMS, MADE, secret

DETECTORS = [secret_detector(FilterOptions(type="secrets", entropy=entropy)) for entropy in (False, True)]
FRAGMENTS = [
    *"sk- sk-proj- ghp_ eyJ eyJhbGciOiJIUzI1NiJ9. password= password: :// user: @host Bearer AKIA hello".split(),
    *"Word ключ 密码\uff1a is".split(),
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN ",
    "-----END PRIVATE KEY-----",
    "Basic ",
    " ",
    "\n",
    ". ",
    "\u200b",
    "\ud800",
    '"',
    "A1b2C3d4E5f6G7h8",
    "aws_secret_access_key = ",
    "ﬁ",
    "…",
    "https://bob:",
    "?",
    "(",
]
texts = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS),
        st.builds(
            lambda form, seed: secret(form, random.Random(seed)), st.sampled_from([*FORMS, *MADE]), st.integers(0, 99)
        ),
        st.text(max_size=8),
    ),
    max_size=8,
).map("".join)


@pytest.mark.parametrize("detector", DETECTORS)
@settings(max_examples=30, deadline=None)
@given(text=texts, data=st.data())
def test_what_is_settled_in_a_beginning_is_so_in_the_whole(
    detector: SecretDetector, text: str, data: st.DataObject
) -> None:
    whole = detector.find(Text(text))
    for _ in range(8):
        cut = data.draw(st.integers(0, len(text)))
        begun = Text(text[:cut])
        open_from = detector.open_from(begun)
        assert max(0, cut - LONGEST_HOLD) <= open_from <= cut
        assert [match for match in detector.find(begun) if match.end <= open_from] == [
            match for match in whole if match.end <= open_from
        ]


@settings(max_examples=30, deadline=None)
@given(
    form=st.sampled_from(ALONE),
    seed=st.integers(0, 10**6),
    before=st.sampled_from(["", "the key ", "ключ ", 'x: "', "a, "]),
)
def test_no_more_than_a_held_beginning_of_a_secret_is_ever_let_go(form: str, seed: int, before: str) -> None:
    """Fed character by character: where it is not yet known, all of it is still held; of a signed token, the end."""
    value = secret(form, random.Random(seed))
    text = f"{before}{value} and so on"
    telling = len(before) + (value.rindex(".") if form in ("jwt", "mapbox") else 0)
    for cut in range(telling + 1, min(len(text), telling + 80)):
        begun = Text(text[:cut])
        known = any(match.begin == len(before) for match in DETECTORS[0].find(begun))
        assert known or DETECTORS[0].open_from(begun) <= telling
