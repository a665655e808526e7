"""The simulated world behind the socket: mounts, behaviours, the journal, and the endpoints of the sandbox itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from llm_service.runtime import Clock
from llm_service.sandbox.behaviour import NORMAL, BadBehaviour, Behaviour
from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.control import Control
from llm_service.sandbox.dialects.base import Call, Dialect, bearer
from llm_service.sandbox.dialects.deepseek import DeepSeek
from llm_service.sandbox.dialects.openrouter import OpenRouter
from llm_service.sandbox.dialects.plain import Plain
from llm_service.sandbox.forms import GROUPS, grammar
from llm_service.sandbox.journal import Entry, Journal
from llm_service.sandbox.messages import Json, Reply, Request, complete, without_body

MOUNTS: Final = ("/openrouter/api/v1", "/deepseek", "/openai/v1", "/local/v1")

_FILTERS: Final = ("provider", "model", "path", "state")


class World:
    """All simulated providers of one server, and what they have seen."""

    def __init__(self, *, seed: int, clock: Clock, pace_s: float) -> None:
        self._seed = seed
        self._clock = clock
        self._pace_s = pace_s
        self._serial = 0
        self._grammar = grammar()
        self._met: Counter[tuple[str, str, str]] = Counter()
        self.journal = Journal(self._now)
        dialects = (OpenRouter(), DeepSeek(), Plain("openai"), Plain("local", keyless=True))
        self.control = Control(self._grammar, errors=frozenset().union(*(dialect.errors for dialect in dialects)))
        self._mounts = tuple(zip(MOUNTS, dialects, strict=True))
        self._own_routes: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", ""): lambda request: _json({"mounts": MOUNTS, "see": ["/_control", "/_requests", "/_stats"]}),
            ("GET", "/_stats"): lambda request: _json(self.journal.stats()),
            ("GET", "/_requests"): self._requests,
            ("DELETE", "/_requests"): lambda request: self._done(self.journal.forget),
            ("GET", "/_control"): lambda request: _json({"rules": self.control.rules(), "forms": _forms()}),
            ("POST", "/_control"): self._add_rule,
            ("DELETE", "/_control"): lambda request: self._done(self.forget_rules),
        }

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        if request.method == "HEAD":
            return without_body(self.answer(replace(request, method="GET")))
        for mount, dialect in self._mounts:
            if request.path.startswith(mount):
                return self._ask(dialect, request, request.path[len(mount) :].rstrip("/"))
        own = self._own_routes.get((request.method, request.path.rstrip("/")))
        return own(request) if own is not None else _json(_error(f"The sandbox has no {request.path}", 404), 404)

    def forget_rules(self) -> None:
        """No rules, and all counts of `first` from the beginning."""
        self.control.clear()
        self._met.clear()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _ask(self, dialect: Dialect, request: Request, route: str) -> Reply:
        self._serial += 1
        now = self._now()
        entry = Entry.of(request, serial=self._serial, at=now, provider=dialect.name)
        self.journal.keep(entry)
        call = Call(request, route, entry, self._seed, now, self._pace_s, self._behaviour_of)
        try:
            reply = dialect.answer(call)
        except BadBehaviour as bad:
            entry.status = 400
            reply = _json(_error(str(bad), 400), 400)
        return replace(reply, ended=lambda ending: self.journal.end(entry, ending))

    def _behaviour_of(self, call: Call, body: Json) -> Behaviour:
        """What the model name, the request itself and the rules ask for; rules win."""
        entry = call.entry
        key = bearer(call.request.headers) or ""
        facts = {"provider": entry.provider, "model": entry.model, "path": entry.path, "key": key}
        behaviour = self._in_body(body.get("sandbox")).over(self._grammar.of_model(entry.model))
        behaviour = self.control.behaviour_for(facts).over(behaviour)
        if behaviour and not self._applies(behaviour, entry, key):
            behaviour = NORMAL
        entry.behaviour = behaviour.text()
        return behaviour

    def _in_body(self, wanted: Any) -> Behaviour:
        if isinstance(wanted, str):
            return self._grammar.of_text(wanted)
        return self._grammar.of_object(wanted) if isinstance(wanted, dict) else NORMAL

    def _applies(self, behaviour: Behaviour, entry: Entry, key: str) -> bool:
        """Whether this request is among those that `first` and `share` speak of."""
        share = behaviour.count("share")
        if share is not None and Dice(b"%d/share/%d" % (self._seed, entry.serial)).below(100) >= share:
            return False
        first = behaviour.count("first")
        if first is None:
            return True
        self._met[entry.provider, entry.model, key] += 1
        return self._met[entry.provider, entry.model, key] <= first

    def _requests(self, request: Request) -> Reply:
        query = request.query
        entries = [
            entry
            for entry in self.journal.entries()
            if all(str(getattr(entry, name)) == query[name] for name in _FILTERS if name in query)
        ]
        if (last := query.get("last", "")).isdigit():
            entries = entries[-int(last) :]
        return _json({"data": [entry.describe() for entry in entries]})

    def _add_rule(self, request: Request) -> Reply:
        try:
            return _json(self.control.add(orjson.loads(request.body)).describe(), 201)
        except (BadBehaviour, orjson.JSONDecodeError) as error:
            return _json(_error(str(error), 400), 400)

    def _done(self, work: Callable[[], None]) -> Reply:
        work()
        return _json({"done": True})


def _forms() -> Json:
    return {
        group: [
            {"name": form.name, "takes": form.kind.value, "default": form.default, "does": form.does} for form in forms
        ]
        for group, forms in GROUPS.items()
    }


def _error(message: str, code: int) -> Json:
    return {"error": {"message": message, "type": "sandbox_error", "param": None, "code": code}}


def _json(body: object, status: int = 200) -> Reply:
    return complete(status, orjson.dumps(body))
