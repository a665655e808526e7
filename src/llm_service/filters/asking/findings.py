"""How a verdict is read that somebody else has given, and what it comes to by a filter's settings."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llm_service.filters.options import FilterOptions

CATEGORIES: Final = (
    "hate", "harassment", "self_harm", "sexual", "sexual_minors", "violence", "violence_graphic", "illicit",
    "illicit_violent", "weapons", "dangerous", "personal_data", "fraud", "extremism",
)  # fmt: skip
"""What a model is asked for where the settings name no categories, and what verdicts are labelled with."""
OTHER: Final = "other"
"""The label of a category that neither the settings nor we know: its name may be anything, the text itself as well."""
OFF_TOPIC: Final = "off_topic"
LIKELY: Final = 0.5
"""From which score on a category counts where no threshold is set."""
MOST_CHARS: Final = 16 * 1024
MOST_OBJECTS: Final = 64
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
_YES: Final = frozenset(("true", "yes"))
_NO: Final = frozenset(("false", "no"))


class Unreadable(ValueError):
    """What was answered is no verdict. The message holds nothing of it."""


def category_name(name: str) -> str:
    """A category in one spelling: ``self-harm`` and ``Self Harm`` are ``self_harm``."""
    return _NO_NAME.sub("_", name.casefold()).strip("_")


def found_by_model(options: FilterOptions, text: str) -> Sequence[str]:
    """The labels of what a model finds by its answer; empty: it finds nothing. Raises Unreadable.

    Of several verdicts in one answer (thoughts, quotes of the text) one that finds something counts.
    """
    verdicts = [one for one in _objects(text) if "flagged" in one]
    if not verdicts:
        raise Unreadable("no verdict in the answer")
    found = [_found(options, one) for one in verdicts]
    return next(filter(None, found), ())


def found_by_webhook(options: FilterOptions, body: bytes) -> Sequence[str]:
    """The same of the JSON that a webhook answers. Raises Unreadable."""
    try:
        verdict = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("the answer is not JSON") from None
    if not isinstance(verdict, dict):
        raise Unreadable("the answer is no JSON object")
    return _found(options, verdict)


def off_topic(options: FilterOptions, text: str) -> Sequence[str]:
    """The label of a prompt that is about none of the allowed topics. Raises Unreadable."""
    lists = [one["topics"] for one in _objects(text) if isinstance(one.get("topics"), list)]
    if not lists:
        raise Unreadable("no topics in the answer")
    names = {category_name(name): number for number, name in enumerate(options.topics, 1)}
    numbers = [_number(one, names) for one in lists[-1]]
    return () if any(0 < one <= len(options.topics) for one in numbers) else (OFF_TOPIC,)


def _number(told: Any, names: Mapping[str, int]) -> int:
    """The number of a topic that is told by its number or by its words; 0: none of ours."""
    if type(told) is int:
        return told
    text = str(told).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else names.get(category_name(text), 0)


def _found(options: FilterOptions, verdict: Mapping[str, Any]) -> Sequence[str]:
    """By the categories that are minded, as far as they are told; by the flag where they are not."""
    flagged = _flag(verdict.get("flagged"))
    scores = _scores(verdict.get("categories"), flagged=flagged)
    minded = {category_name(one) for one in options.categories}
    known = {name: score for name, score in scores.items() if not minded or name in minded}
    least = options.threshold or LIKELY
    labels = sorted({_label(name, minded) for name, score in known.items() if score >= least})
    if labels and (flagged or minded or options.threshold is not None):
        return labels
    # A flag without a reason counts; one for reasons that the settings do not mind, or mind less, does not.
    if flagged and (not scores or (not minded and options.threshold is None)):
        return (OTHER,)
    return ()


def _label(name: str, minded: set[str]) -> str:
    return name if name in minded or name in CATEGORIES else OTHER


def _flag(told: Any) -> bool:
    if type(told) is bool:
        return told
    text = str(told).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise Unreadable("flagged is neither true nor false")


def _scores(told: Any, *, flagged: bool) -> dict[str, float]:
    """Categories with their scores: of an object of numbers or yes and no, or a list of those that apply."""
    if told is None:
        return {}
    if isinstance(told, list):
        return {category_name(one): float(flagged) for one in told if isinstance(one, str)}
    if not isinstance(told, dict):
        raise Unreadable("categories are neither an object nor a list")
    return {category_name(name): _score(value) for name, value in told.items()}


def _score(told: Any) -> float:
    if isinstance(told, int | float) and told == told:  # not NaN
        return min(max(float(told), 0.0), 1.0)
    if isinstance(told, str) and told.strip().lower() in _YES | _NO:
        return float(told.strip().lower() in _YES)
    if told is None:
        return 0.0
    raise Unreadable("a category's score is no number")


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    """The JSON objects in a text, whatever stands around them: thoughts, a code block, a polite sentence."""
    text = text[-MOST_CHARS:]
    decoder, at = json.JSONDecoder(), 0
    for _ in range(MOST_OBJECTS):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield found
