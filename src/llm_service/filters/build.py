"""From the settings of a filter to the filter: what is wrong with them, and what judges by them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from llm_service.filters.detector import Detector
from llm_service.filters.options import FilterOptions, FilterType
from llm_service.filters.policy import LocalFilter, Policies

MOST_WORDS_BYTES: Final = 16 * 1024 * 1024
_EVERY_TYPE: Final = frozenset(
    ("type", "name", "enabled", "on", "action", "on_failure", "models", "keys", "except_keys")
)
TAKES: Final[Mapping[FilterType, frozenset[str]]] = MappingProxyType(
    {
        "keywords": frozenset(("words", "words_file", "whole_words", "allow", "reversible")),
        "regex": frozenset(("patterns", "allow", "reversible")),
        "pii": frozenset(("entities", "countries", "allow", "reversible")),
        "secrets": frozenset(("entropy", "allow", "reversible")),
        "prompt_injection": frozenset(("threshold",)),
        "moderation": frozenset(("model", "url", "headers", "categories", "threshold", "timeout_s")),
        "allowed_models": frozenset(("allowed",)),
        "allowed_topics": frozenset(("topics", "model", "timeout_s")),
    }
)
"""The settings that mean something to a type, besides those of every filter."""
_NEEDS: Final[Mapping[FilterType, Sequence[str]]] = MappingProxyType(
    {"regex": ("patterns",), "allowed_models": ("allowed",), "allowed_topics": ("topics", "model")}
)
_OF_PLACES: Final = frozenset(("keywords", "regex", "pii", "secrets"))
"""Types that find places in a text, which can be replaced; the others judge a text as a whole, or a name."""
_OF_PROMPTS: Final = frozenset(("prompt_injection", "allowed_models", "allowed_topics"))
# Each in a module of its own, loaded when a filter of its type is built: not every service needs all their libraries.
BUILDERS: Final[Mapping[FilterType, tuple[str, str]]] = MappingProxyType(
    {
        "keywords": ("keywords", "keyword_detector"),
        "regex": ("patterns", "regex_detector"),
        "pii": ("pii", "pii_detector"),
        "secrets": ("secrets", "secret_detector"),
        "prompt_injection": ("injection", "injection_detector"),
    }
)
_NOT_FOR_CHATS: Final = ("omni-moderation-", "text-moderation-", "mistral-moderation-")
"""Models of OpenAI and Mistral that are served at ``/moderations`` alone."""
_MAIN: Final[Mapping[FilterType, str]] = MappingProxyType({"keywords": "words", "regex": "patterns"})
"""Which setting a detector complains of."""


def filter_problems(options: FilterOptions, *, leads: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """What is wrong with a filter: a setting's name, and the end of a sentence that begins with it.

    ``leads``: whether a model of this name can be asked.
    """
    problems = [*_problems(options)]
    if options.model is not None and not leads(options.model):
        problems.append(("model", "is neither a name of models nor provider/model of a configured provider"))
    if not problems and options.type in BUILDERS:
        try:
            build_filter(options)
        except ValueError as problem:
            at = _MAIN.get(options.type, "type")
            problems.append(("words_file" if at == "words" and not options.words else at, f"cannot be used: {problem}"))
    yield from problems


def _problems(options: FilterOptions) -> Iterator[tuple[str, str]]:
    kind = options.type
    takes = TAKES[kind]
    for one in fields(FilterOptions):
        if one.name not in _EVERY_TYPE and one.name not in takes and getattr(options, one.name) != _usual(one):
            yield one.name, f"means nothing to a filter of the type {kind}, which takes {', '.join(sorted(takes))}"
    for name in _NEEDS.get(kind, ()):
        if not getattr(options, name):
            yield name, f"must be set for a filter of the type {kind}"
    if kind in _OF_PROMPTS and "output" in options.on:
        yield "on", f"cannot be output: a filter of the type {kind} looks at prompts alone"
    if options.action == "mask" and kind not in _OF_PLACES:
        yield "action", f"cannot be mask: a filter of the type {kind} finds no places that could be replaced"
    yield from _of_type(options)


def _of_type(options: FilterOptions) -> Iterator[tuple[str, str]]:
    if options.type == "keywords":
        yield from _of_keywords(options)
    if options.type == "moderation":
        yield from _of_moderation(options)
    if options.reversible and options.type in _OF_PLACES:
        if options.action != "mask":
            yield "reversible", "goes with action: mask"
        elif "input" not in options.sides:
            yield "reversible", "goes with input among on: what is put back was taken out of a prompt"
    if options.countries and options.entities and "national_id" not in options.entities:
        yield "countries", "goes with national_id among entities"


def _of_keywords(options: FilterOptions) -> Iterator[tuple[str, str]]:
    if not options.words and options.words_file is None:
        yield "words", "or words_file must be set for a filter of the type keywords"
    if options.words_file is not None:
        try:
            words_in(options.words_file)
        except ValueError as problem:
            yield "words_file", str(problem)


def _of_moderation(options: FilterOptions) -> Iterator[tuple[str, str]]:
    if (options.model is None) == (options.url is None):
        yield "model", "or url must be set for a filter of the type moderation, and not both"
    if options.headers and options.url is None:
        yield "headers", "goes with url"
    if options.model is not None and options.model.rsplit("/", 1)[-1].startswith(_NOT_FOR_CHATS):
        yield "model", "answers at an address of its own, not in chats: name a chat model, or ask it by a webhook"


def words_of(options: FilterOptions) -> tuple[str, ...]:
    """All words of a filter, those of its file behind the others. Raises ValueError where that cannot be read."""
    return options.words if options.words_file is None else (*options.words, *words_in(options.words_file))


def words_in(path: Path) -> tuple[str, ...]:
    """The lines of a file, without empty ones. Raises ValueError, with the end of a sentence that names the setting."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_WORDS_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("must be a text file in UTF-8") from None
    except OSError as problem:
        raise ValueError(f"cannot be read: {problem.strerror}") from problem
    if len(raw) > MOST_WORDS_BYTES:
        raise ValueError(f"is larger than {MOST_WORDS_BYTES} bytes")
    words = tuple(filter(None, map(str.strip, text.split("\n"))))
    if not words:
        raise ValueError("has no words")
    return words


def build_filter(options: FilterOptions, words: Sequence[str] | None = None) -> LocalFilter:
    """The filter of settings that judges by itself. ``words``: its own, where they have been read.

    Raises ValueError for settings that cannot be used, in a sentence that says what to do.
    """
    return LocalFilter(
        name=options.called,
        type=options.type,
        action=options.action,
        detector=_detector(options, words),
        on_failure=options.on_failure,
        reversible=options.reversible,
    )


def _detector(options: FilterOptions, words: Sequence[str] | None) -> Detector:
    module, name = BUILDERS[options.type]
    make = getattr(import_module(f"llm_service.filters.{module}"), name)
    given = (words_of(options) if words is None else words,) if options.type == "keywords" else ()
    made: Detector = make(options, *given)
    return made


def _usual(one: Any) -> object:
    """A setting's default."""
    return one.default if one.default_factory is MISSING else one.default_factory()


class FilterUnusable(ValueError):
    """A filter of the settings cannot be built, though it could when they were checked: its file is another now."""


def build_policies(filters: Sequence[FilterOptions]) -> Policies:
    """The filters of the settings, ready for use. Raises FilterUnusable for one that cannot be used."""
    return Policies(filters, build=_local, words=_known_words)


def _local(options: FilterOptions, words: Sequence[str]) -> LocalFilter | None:
    if options.type not in BUILDERS:
        return None
    try:
        return build_filter(options, words)
    except ValueError as problem:
        raise FilterUnusable(f"The filter {options.called} cannot be used: {problem}") from problem


def _known_words(options: FilterOptions) -> Sequence[str]:
    if options.type != "keywords":
        return ()
    try:
        return words_of(options)
    except ValueError as problem:
        raise FilterUnusable(f"The filter {options.called} cannot be used: words_file {problem}") from problem
