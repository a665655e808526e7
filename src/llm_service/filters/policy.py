"""Which filters a request meets."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields
from hashlib import sha256
from typing import Final, Literal

import orjson

from llm_service import __version__
from llm_service.domain import Caller, Candidate, FilterAction, fact
from llm_service.filters.detector import Detector
from llm_service.filters.options import FilterOptions

MOST_POLICIES: Final = 1024
ASKING: Final = frozenset(("moderation", "allowed_topics"))
"""Types that judge by asking somebody."""
_NOT_OF_ANSWERS: Final = frozenset(("name", "enabled", "models", "keys", "except_keys", "timeout_s", "words_file"))
"""Settings that say where a filter applies, and what it is called, but not what it lets through."""


@fact
class LocalFilter:
    """One filter that judges by itself, ready for use."""

    name: str
    type: str
    action: FilterAction
    detector: Detector
    on_failure: Literal["open", "closed"] = "closed"
    reversible: bool = False


@fact
class Policy:
    """The filters that requests of one kind meet, in the order of the settings.

    ``version`` names all of it that decides what an answer may be: answers under another one are others. ``input``,
    ``output``: what judges here; ``asking``: what is asked elsewhere (``moderation``, ``allowed_topics``); ``naming``:
    what judges the names of models that are asked for. ``all``: the settings of all of them.
    """

    version: str
    input: tuple[LocalFilter, ...] = ()
    output: tuple[LocalFilter, ...] = ()
    asking: tuple[FilterOptions, ...] = ()
    naming: tuple[FilterOptions, ...] = ()
    all: tuple[FilterOptions, ...] = ()


NO_POLICY: Final = Policy(version="")
Filters = Sequence[LocalFilter]


class _Rule:
    """One filter, and whom it is for."""

    __slots__ = ("is_for_all", "local", "options", "text")

    def __init__(self, options: FilterOptions, local: LocalFilter | None, words: Sequence[str]) -> None:
        self.options = options
        self.local = local
        self.text = _text(options, words)
        self.is_for_all = not (options.models or options.keys or options.except_keys)

    def is_for(self, models: Collection[str], names: Collection[str | None]) -> bool:
        """``models``: all names of what may answer the request; ``names``: its key's id and name."""
        options = self.options
        if options.models and not any(matches(options.models, model) for model in models):
            return False
        if options.keys and not any(name in options.keys for name in names):
            return False
        return not any(name in options.except_keys for name in names)


class Policies:
    """Knows which filters a request meets. Built once for each generation of the settings."""

    def __init__(
        self,
        filters: Sequence[FilterOptions],
        *,
        build: Callable[[FilterOptions, Sequence[str]], LocalFilter | None],
        words: Callable[[FilterOptions], Sequence[str]],
    ) -> None:
        """``build``: what judges by these settings here, ``None`` where nothing does; ``words``: all of a filter's.

        Raises what these raise.
        """
        self._rules: list[_Rule] = []
        for options in filters:
            if options.enabled:
                known = words(options)
                self._rules.append(_Rule(options, build(options, known), known))
        self._known: dict[tuple[int, ...], Policy] = {}
        self._asked: dict[tuple[str, tuple[str, ...], str, str | None], Policy] = {}
        always = all(rule.is_for_all for rule in self._rules)
        self._always = self._of(tuple(range(len(self._rules)))) if always else None

    @property
    def all(self) -> Policy:
        """Every filter that is in force."""
        return self._of(tuple(range(len(self._rules))))

    def for_request(
        self, model: str, models: Sequence[str], caller: Caller, served: Sequence[Candidate] = ()
    ) -> Policy:
        """The filters of a request that asks for ``model``, or else for one of ``models``.

        ``served``: every deployment that may answer it, which these names and the settings decide alone.
        """
        if self._always is not None:
            return self._always
        key = caller.key
        asked = model, tuple(models), caller.key_id, None if key is None else key.name
        policy = self._asked.get(asked)
        if policy is None:
            if len(self._asked) >= MOST_POLICIES:  # names are the callers' to invent
                self._asked.clear()
            policy = self._asked[asked] = self._of(
                tuple(self._numbers(_all_names((model, *models), served), asked[2:]))
            )
        return policy

    def _numbers(self, asked: Collection[str], names: Collection[str | None]) -> Iterator[int]:
        for number, rule in enumerate(self._rules):
            if rule.is_for_all or rule.is_for(asked, names):
                yield number

    def _of(self, numbers: tuple[int, ...]) -> Policy:
        policy = self._known.get(numbers)
        if policy is None:
            if len(self._known) >= MOST_POLICIES:  # of n filters there are up to 2^n sets
                self._known.clear()
            policy = self._known[numbers] = _policy([self._rules[number] for number in numbers])
        return policy


def matches(patterns: Sequence[str], name: str) -> bool:
    """Whether a name is one of these, or begins as one of those that end in ``*``."""
    return name in patterns or any(one.endswith("*") and name.startswith(one[:-1]) for one in patterns)


def _all_names(asked: Sequence[str], served: Sequence[Candidate]) -> frozenset[str]:
    """The names that are asked for, and ``provider/model`` of whatever may answer.

    Otherwise a filter would be passed by with another name for the same model: one without its provider, which goes to
    the provider of all other names, or one that names the provider twice, which is left out by some.
    """
    names = {*asked}
    for candidate in served:
        provider = f"{candidate.provider}/"
        names |= {provider + candidate.upstream_model, provider + candidate.upstream_model.removeprefix(provider)}
        if len(asked) > 1:  # a provider may follow the request's list of models itself
            names |= {provider + name.removeprefix(provider) for name in asked}
    return frozenset(names)


def _policy(rules: Sequence[_Rule]) -> Policy:
    if not rules:
        return NO_POLICY
    digest = sha256(orjson.dumps([__version__, *(rule.text for rule in rules)]))
    return Policy(
        version=digest.hexdigest()[:16],
        input=_locals(rules, "input"),
        output=_locals(rules, "output"),
        asking=tuple(rule.options for rule in rules if rule.options.type in ASKING),
        naming=tuple(rule.options for rule in rules if rule.options.type == "allowed_models"),
        all=tuple(rule.options for rule in rules),
    )


def _locals(rules: Sequence[_Rule], side: Literal["input", "output"]) -> tuple[LocalFilter, ...]:
    return tuple(rule.local for rule in rules if rule.local is not None and side in rule.options.sides)


def _text(options: FilterOptions, words: Sequence[str]) -> str:
    """Everything that decides what the filter lets through. It holds words and headers: only its digest is shown."""
    told = {
        one.name: sorted(value.items()) if isinstance(value := getattr(options, one.name), dict) else value
        for one in fields(FilterOptions)
        if one.name not in _NOT_OF_ANSWERS
    }
    told |= {"on": options.sides, "words": words, "headers": sorted(options.headers.items())}
    return sha256(orjson.dumps(told, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()
