"""What a request needs, and why a deployment cannot serve it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import NO_TAGS, ModelInfo, ModelRequest
from llm_service.routing.options import Ability
from llm_service.routing.way import Way

ROUTE_TAG: Final = "route"
"""A request with this tag goes only to deployments that have its value among their tags."""

_MEDIA: Final[Mapping[str, Ability]] = MappingProxyType(
    {
        "image_url": "images",
        "input_image": "images",
        "image": "images",
        "input_audio": "audio",
        "file": "files",
        "input_file": "files",
        "document": "files",
    }
)
# What a catalogue lists for an ability. Not for files: OpenRouter reads documents for models that cannot do so
# themselves (its plugin file-parser), and DeepSeek takes images as files (seen 2026-11).
_PARAMETERS: Final[Mapping[Ability, str]] = MappingProxyType({"tools": "tools", "json_schema": "structured_outputs"})
_MODALITIES: Final[Mapping[Ability, str]] = MappingProxyType({"images": "image", "audio": "audio"})
_SAID: Final[Mapping[Ability, str]] = MappingProxyType(
    {
        "tools": "tools",
        "images": "images",
        "audio": "audio",
        "files": "files",
        "json_schema": "answers by a JSON schema",
    }
)


class Needs:
    """What one request needs. Found out when it is first asked for, once.

    ``route``: the word that a deployment must have among its tags, of the request's tag of that name.

    ``input_tokens``: so many tokens the prompt has at least, as far as is known. Whoever ranks deployments says it: 0,
    until it has a count (as ``admission`` has one). An upper bound of the prompt is no such number: where a bound, and
    :attr:`output_tokens`, fit a :func:`window` nothing need be counted, and where they do not, a count decides.
    """

    __slots__ = ("_abilities", "_output_tokens", "_request", "input_tokens", "route")

    def __init__(self, request: ModelRequest, *, tags: Mapping[str, str] = NO_TAGS, input_tokens: int = 0) -> None:
        self._request = request
        self._abilities: tuple[Ability, ...] | None = None
        self._output_tokens: int | None = None
        self.input_tokens = input_tokens
        self.route = tags.get(ROUTE_TAG) if tags else None

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """What the deployment must be able to do, each once."""
        if self._abilities is None:
            chat = self._request.operation == "chat"
            self._abilities = tuple(_abilities(self._request.body)) if chat else ()
        return self._abilities

    @property
    def output_tokens(self) -> int:
        """The cap that the request sets on one answer; 0 where it sets none."""
        if self._output_tokens is None:
            body = self._request.body
            caps = (body.get("max_completion_tokens"), body.get("max_tokens"))
            self._output_tokens = max([cap for cap in caps if type(cap) is int], default=0)
        return self._output_tokens


def _abilities(body: Mapping[str, Any]) -> dict[Ability, None]:
    needed: dict[Ability, None] = {}
    if body.get("tools") or body.get("functions"):
        needed["tools"] = None
    form = body.get("response_format")
    if form is not None and form.get("type") == "json_schema":
        needed["json_schema"] = None
    for message in body["messages"]:
        content = message.get("content")
        if type(content) is list:
            for part in content:
                kind = part.get("type")
                if type(kind) is str and kind in _MEDIA:
                    needed[_MEDIA[kind]] = None
    return needed


def window(way: Way, info: ModelInfo | None) -> int | None:
    """The context window in tokens, of prompt and answer together: the operator's word, else the catalogue's."""
    if way.context_tokens is not None or info is None:
        return way.context_tokens
    return info.context_tokens


def unfit(needs: Needs, way: Way, info: ModelInfo | None) -> str | None:
    """Why a deployment cannot serve a request, in words that follow its name; ``None`` when nothing speaks against it.

    ``info``: what the provider's catalogue says of the model; where it is silent, nothing is held against it.
    """
    if needs.route is not None and needs.route not in way.tags:
        return f"has no tag `{needs.route}`"
    if way.lacks or (info is not None and (info.parameters or info.input_modalities)):
        for ability in needs.abilities:
            if (who := lacks(ability, way, info)) is not None:
                return f"lacks {_SAID[ability]}, {who}"
    return _too_long(needs, way, info)


def lacks(ability: Ability, way: Way, info: ModelInfo | None) -> str | None:
    """Who says that a deployment cannot do something, in words that follow its name; ``None``: nobody does."""
    if ability in way.lacks:
        return "by its settings"
    return None if info is None or _listed(ability, info) else "by the provider's catalogue"


def _listed(ability: Ability, info: ModelInfo) -> bool:
    """Whether the catalogue says that a model can do something, or says nothing about such things."""
    parameter, modality = _PARAMETERS.get(ability), _MODALITIES.get(ability)
    if parameter is not None:
        return not info.parameters or parameter in info.parameters
    return modality is None or not info.input_modalities or modality in info.input_modalities


def _too_long(needs: Needs, way: Way, info: ModelInfo | None) -> str | None:
    most = None if info is None else info.max_output_tokens
    if most is not None and needs.output_tokens > most:
        return f"answers with at most {most} tokens, and the request asks for {needs.output_tokens}"
    context = window(way, info)
    needed = needs.input_tokens + needs.output_tokens
    if context is None or needed <= context:
        return None
    return f"has a context window of {context} tokens, and the request takes {needed}"
