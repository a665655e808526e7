"""Whether anybody can do what a request asks for: media that a model does not take, tools that it does not know."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llm_service.domain import InvalidValue
from llm_service.pipeline.base import Exchange
from llm_service.pipeline.windows import Known
from llm_service.routing import Ability, Needs, lacks, named

_SURE: Final[Mapping[Ability, str]] = {"tools": "tools", "images": "images", "audio": "sound"}
"""What no provider takes for a model that its catalogue does not list it for, each in the words of messages."""
_KINDS: Final[Mapping[Ability, frozenset[str]]] = {
    "images": frozenset({"image_url", "input_image", "image"}),
    "audio": frozenset({"input_audio"}),
}
_ELSEWHERE: Final = ("preset", "plugins")
"""Fields that may have OpenRouter call another model, or change the prompt on its way."""


def check_abilities(exchange: Exchange, known: Known) -> None:
    """Raises InvalidValue where everybody who may be called lacks something that the request needs."""
    request, route = exchange.request, exchange.route
    needed = Needs(request).abilities
    if not needed or (request.models and not route.is_ours) or any(map(request.body.get, _ELSEWHERE)):
        return
    for ability in needed:
        if ability in _SURE and (path := _path_of(ability, request.body)) is not None:
            _check(exchange, ability, path, known)


def _check(exchange: Exchange, ability: Ability, path: str, known: Known) -> None:
    said: dict[str, str] = {}
    for way in exchange.route.ways:
        candidate = way.candidate
        who = lacks(ability, way, known(candidate.provider, candidate.upstream_model))
        if who is None:
            return
        said.setdefault(who, named(candidate))
    who, name = next(iter(said.items()))
    others = " nor does any other of its deployments" if len(exchange.route.ways) > 1 else ""
    comma = "," if others else ""
    raise InvalidValue(f"'{path}': `{name}` takes no {_SURE[ability]}, {who}{comma}{others}.", param=path)


def _path_of(ability: Ability, body: Mapping[str, Any]) -> str | None:
    """Where the request asks for it."""
    if ability == "tools":
        return _tools_in(body)
    return next(_parts_of(_KINDS[ability], body["messages"]), None)


def _tools_in(body: Mapping[str, Any]) -> str | None:
    """Functions that may be called. Tools of a provider's own need nothing of the model."""
    if body.get("tool_choice") == "none":
        return None
    if any(tool.get("type") in (None, "function") for tool in body.get("tools") or ()):
        return "tools"
    return "functions" if body.get("functions") else None


def _parts_of(kinds: frozenset[str], messages: list[Mapping[str, Any]]) -> Iterator[str]:
    for index, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content if type(content) is list else ()):
            if part.get("type") in kinds:
                yield f"messages[{index}].content[{place}]"
