"""Rules set at run time: which requests meet which behaviour, and how often."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from llm_service.sandbox.behaviour import NORMAL, BadBehaviour, Behaviour, Grammar
from llm_service.sandbox.messages import Json
from llm_service.sandbox.mid_errors import STYLES

ERROR_FORMS: Final = ("error", "error-in-200", "error-first", "error-mid")
MATCHED: Final = ("provider", "model", "path", "key")


@dataclass(slots=True)
class Rule:
    """A behaviour for the requests that match: patterns with * and ?; `left` of None means always."""

    id: int
    match: Mapping[str, str]
    behaviour: Behaviour
    times: int | None
    left: int | None
    used: int = 0

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Whether a request meets this rule now."""
        if self.left == 0:
            return False
        return all(fnmatch.fnmatchcase(facts.get(name, ""), pattern) for name, pattern in self.match.items())

    def describe(self) -> Json:
        """As `GET /_control` shows it."""
        return {
            "id": self.id,
            "match": dict(self.match),
            "behaviour": dict(self.behaviour.values),
            "times": self.times,
            "left": self.left,
            "used": self.used,
        }


class Control:
    """All rules; the newest that fits decides."""

    def __init__(self, grammar: Grammar, *, errors: Set[str]) -> None:
        """``errors``: the ids of all errors that some provider has."""
        self._grammar = grammar
        self._errors = errors
        self._rules: list[Rule] = []
        self._serial = 0

    def add(self, body: object) -> Rule:
        """Take a rule as the control endpoint gets it; raises BadBehaviour."""
        if not isinstance(body, dict):
            raise BadBehaviour("expected an object with match, behaviour and times")
        if unknown := set(body) - {"match", "behaviour", "times"}:
            raise BadBehaviour(f"unknown field {min(unknown)!r}; known are match, behaviour, times")
        times = body.get("times")
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise BadBehaviour("times must be a whole number of at least 1")
        match = self._match(body.get("match") or {})
        self._serial += 1
        rule = Rule(self._serial, match, self._with_known_errors(body.get("behaviour")), times, times)
        self._rules.insert(0, rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def rules(self) -> list[Json]:
        """Newest first."""
        return [rule.describe() for rule in self._rules]

    def behaviour_for(self, facts: Mapping[str, str]) -> Behaviour:
        """The behaviour of the first rule that fits; uses it up by one."""
        for rule in self._rules:
            if rule.fits(facts):
                rule.used += 1
                if rule.left is not None:
                    rule.left -= 1
                return rule.behaviour
        return NORMAL

    def _match(self, match: object) -> dict[str, str]:
        if not isinstance(match, dict) or not all(isinstance(pattern, str) for pattern in match.values()):
            raise BadBehaviour("match must be an object of strings")
        if unknown := set(match) - set(MATCHED):
            raise BadBehaviour(f"unknown match {min(unknown)!r}; known are {', '.join(MATCHED)}")
        return dict(match)

    def _with_known_errors(self, value: Any) -> Behaviour:
        behaviour = self._behaviour(value)
        for form in ERROR_FORMS:
            word = behaviour.word(form)
            styles = STYLES if form in ("error-first", "error-mid") else ()
            if word is not None and word not in self._errors and word not in styles:
                known = ", ".join(sorted({*self._errors, *styles}))
                raise BadBehaviour(f"{form}: no provider has an error {word!r}; there are {known}")
        return behaviour

    def _behaviour(self, value: Any) -> Behaviour:
        if isinstance(value, str):
            return self._grammar.of_text(value)
        if isinstance(value, dict):
            return self._grammar.of_object(value)
        raise BadBehaviour("behaviour must be an object, or a text such as slow-head-1s+cut-after-3")
