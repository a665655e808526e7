"""Secrets of every known form are found wherever they stand, and what only looks like one is not."""

import random

import pytest

from llm_service.filters import LONGEST_HOLD, FilterOptions, Text
from llm_service.filters.secrets import secret_detector
from tests.support.secret_forms import ALONE, filled, label_of, secret

DETECTOR = secret_detector(FilterOptions(type="secrets"))


def found(text: str) -> list[str]:
    return [text[match.begin : match.end] for match in DETECTOR.find(Text(text))]


@pytest.mark.parametrize("form", ALONE)
def test_a_secret_is_found_whole_and_by_its_label(form: str) -> None:
    dice = random.Random(form)
    for before, after in [("", ""), ("see ", " there"), ('{"a":"', '"}'), ("ключ:", "。"), ("(", "),"), ("x=", "\n\n"), ("<", ">")]:
        for _ in range(3):
            value = secret(form, dice)
            matches = DETECTOR.find(Text(before + value + after))
            spans = [(match.begin, match.end, match.label) for match in matches]
            assert (len(before), len(before) + len(value), label_of(form)) in spans, (value, spans)
