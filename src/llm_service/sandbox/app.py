"""The simulated world behind the socket: mounts, the control endpoints, the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson

from llm_service.sandbox.behaviour import BadBehaviour, Behaviour
from llm_service.sandbox.control import Control
from llm_service.sandbox.dialects.base import Call, Dialect
from llm_service.sandbox.dialects.deepseek import DeepSeek
from llm_service.sandbox.dialects.openrouter import OpenRouter
from llm_service.sandbox.dialects.plain import Plain
from llm_service.sandbox.forms import GROUPS, grammar
from llm_service.sandbox.journal import Entry, Journal
from llm_service.sandbox.messages import Ending, Json, Reply, Request, complete


class World:
    """All simulated providers of one server."""

    def __init__(self, *, seed: int, now: Callable[[], float], pace_s: float) -> None:
        self._seed = seed
        self._now = now
        self._pace_s = pace_s
        self._serial = 0
        self._grammar = grammar()
        self.control = Control(self._grammar)
        self.journal = Journal(now)
        self._mounts: tuple[tuple[str, Dialect], ...] = (
            ("/openrouter/api/v1", OpenRouter()),
            ("/deepseek", DeepSeek()),
            ("/openai/v1", Plain("openai")),
            ("/local/v1", Plain("local", keyless=True)),
        )

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        for mount, dialect in self._mounts:
            if request.path.startswith(mount):
                return self._provider(request, dialect, request.path[len(mount) :].rstrip("/") or "/")
        return self._own(request)

    def _provider(self, request: Request, dialect: Dialect, route: str) -> Reply:
        self._serial += 1
        now = self._now()
        entry = Entry(self._serial, now, request, dialect.name, request.path)
        self.journal.keep(entry)
        call = Call(request, route, entry, self._seed, int(now), self._pace_s, judge=self._judge)
        try:
            reply = dialect.answer(call)
        except BadBehaviour as bad:
            entry.status = 400
            reply = complete(400, orjson.dumps({"error": {"message": str(bad), "code": 400}}))
        return replace(reply, ended=lambda ending: self.journal.end(entry, ending))

    def _judge(self, call: Call, model: str) -> Behaviour:
        facts = {"provider": call.entry.provider, "model": model, "path": call.request.path, "key": ""}
        behaviour = self.control.behaviour_for(facts).over(self._grammar.of_model(model))
        call.entry.behaviour = "+".join(behaviour.values)
        return behaviour

    def _own(self, request: Request) -> Reply:
        """The endpoints of the sandbox itself."""
        route = (request.method, request.path.rstrip("/"))
        if route == ("GET", "/_stats"):
            return _json(self.journal.stats())
        if route == ("GET", "/_requests"):
            return _json({"data": [entry.describe() for entry in self.journal.entries()]})
        if route == ("DELETE", "/_requests"):
            self.journal.forget()
            return _json({"deleted": True})
        if route == ("GET", "/_control"):
            return _json({"rules": self.control.rules(), "forms": _forms()})
        if route == ("POST", "/_control"):
            return self._add_rule(request)
        if route == ("DELETE", "/_control"):
            self.control.clear()
            return _json({"deleted": True})
        return _json({"error": {"message": "The sandbox has no such path", "code": 404}}, 404)

    def _add_rule(self, request: Request) -> Reply:
        try:
            return _json(self.control.add(orjson.loads(request.body)).describe(), 201)
        except (BadBehaviour, orjson.JSONDecodeError) as error:
            return _json({"error": {"message": str(error), "code": 400}}, 400)


def _forms() -> Json:
    return {
        group: [
            {"name": form.name, "takes": form.kind.value, "default": form.default, "does": form.does} for form in forms
        ]
        for group, forms in GROUPS.items()
    }


def _json(body: object, status: int = 200) -> Reply:
    return complete(status, orjson.dumps(body))
