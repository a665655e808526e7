"""Filters judge any text, point at places in it, and say of a beginning only what holds for the whole."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Final
from zlib import crc32

from llm_service.filters import LONGEST_HOLD, Detector, FilterOptions, Match, Text, build_filter

_OPTIONS: Final = (
    FilterOptions(type="keywords", words=("Nightfall", "launch code", "密码")),
    FilterOptions(type="keywords", words=("night", "code"), whole_words=False),
    FilterOptions(type="regex", patterns=(r"\b[A-Z]{3}-\d{5}\b", "(?i)internal only")),
    FilterOptions(type="pii", entities=("email", "phone", "card", "iban", "ip", "national_id")),
    FilterOptions(type="secrets"),
    FilterOptions(type="secrets", entropy=True),
    FilterOptions(type="prompt_injection", threshold=0.5),
)


@cache
def detectors() -> Sequence[tuple[FilterOptions, Detector]]:
    return [(options, build_filter(options).detector) for options in _OPTIONS]


def one(data: bytes) -> None:
    """``data``: a text, with halves of surrogate pairs where it is not UTF-8."""
    raw = data.decode("utf-8", "surrogateescape")
    for options, detector in detectors():
        text = Text(raw)
        found = detector.find(text)
        check_places(found, raw)
        assert found == detector.find(Text(raw))
        assert max(0, len(raw) - LONGEST_HOLD) <= detector.open_from(text) <= len(raw) or options.type != "secrets"
        if len(raw) <= LONGEST_HOLD and options.type != "prompt_injection":  # what weighs a whole text may think again
            check_beginning(detector, raw, found)


def check_places(found: Sequence[Match], raw: str) -> None:
    for match in found:
        assert 0 <= match.begin < match.end <= len(raw)
        assert match.label.isascii()
    assert all(one.begin <= other.begin for one, other in pairwise(found))


def check_beginning(detector: Detector, raw: str, found: Sequence[Match]) -> None:
    begun = Text(raw[: crc32(raw.encode("utf-8", "surrogatepass")) % (len(raw) + 1)])
    settled = detector.open_from(begun)
    before = [match for match in detector.find(begun) if match.end <= settled]
    assert before == [match for match in found if match.end <= settled]
