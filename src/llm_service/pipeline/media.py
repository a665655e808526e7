"""Media in a prompt: how many, and the addresses that a provider is to fetch them from.

The service fetches nothing of a prompt itself. Providers do; of a server in one's own network it would be a way in.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llm_service.domain import Ambiguous, InvalidValue, ModelRequest, address_of, reach_of
from llm_service.pipeline.options import ImageUrlOptions, ValidationOptions

_NO_MEDIA: Final = frozenset(
    {"text", "refusal", "thinking", "reasoning", "input_text", "output_text", "tool_use", "tool_result"}
)
_STORES: Final = frozenset({"gs", "s3"})
"""Schemes of cloud stores, which only their own clouds read."""
_MOST_LEVELS: Final = 4
_HOLDERS: Final = ("content", "images")
_NAMES: Final = frozenset({"image", "video", "audio", "data", "file_data", "document"})
_NAME_ENDS: Final = ("url", "uri", "URL", "URI", "Url", "Uri")
_DATA_ENDS: Final = (".data", ".file_data")
"""Fields that hold the data itself, bare of any scheme."""


def check_media(request: ModelRequest, options: ValidationOptions, *, of_operator: bool) -> None:
    """Raises InvalidValue for more media than are allowed, and for an address that may not be named.

    ``of_operator``: the request is the operator's own.
    """
    if request.operation == "completion":
        return
    rules = options.image_urls
    number = 0
    for path, part in _media(request):
        number += 1
        _check_number(number, request, options)
        for at, (place, value) in enumerate(_addresses(part, path, _MOST_LEVELS)):
            if at > 0:  # a part with several addresses is as many media
                number += 1
                _check_number(number, request, options)
            _check_address(value, place, rules, of_operator=of_operator)
    if request.operation != "chat":
        return
    for index, tool in enumerate(request.body.get("tools") or ()):
        if "server_url" in tool:  # of a server of tools (MCP), which the provider is to call
            _check_address(tool["server_url"], f"tools[{index}].server_url", rules, of_operator=of_operator)


def _check_number(number: int, request: ModelRequest, options: ValidationOptions) -> None:
    if number > options.max_media:
        where = "input" if request.operation == "embedding" else "messages"
        said = f"'{where}' must not hold more than {options.max_media} media (validation.max_media)."
        raise InvalidValue(said, param=where)


def _media(request: ModelRequest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything in a prompt that is not text, with its path."""
    if request.operation == "embedding":
        given = request.body["input"]
        for index, one in enumerate(given if type(given) is list else ()):
            if type(one) is not dict:
                return
            yield f"input[{index}]", one
        return
    for index, message in enumerate(request.body["messages"]):
        if type(message.get("content")) is not list and "images" not in message:
            continue  # text alone, as nearly all are
        for field in _HOLDERS:
            if type(parts := message.get(field)) is not list:
                continue
            for place, part in enumerate(parts):
                if part.get("type") not in _NO_MEDIA:
                    yield f"messages[{index}].{field}[{place}]", part


def _addresses(holder: Any, path: str, levels: int, *, named: bool = False) -> Iterator[tuple[str, str]]:
    """The texts of a part that are addresses by their names, with their paths. ``named``: the holder is one of them."""
    for name, inner in holder.items() if type(holder) is dict else enumerate(holder):
        if isinstance(name, str):
            place, is_named = f"{path}.{name[:64]}", name in _NAMES or name.endswith(_NAME_ENDS)
        else:
            place, is_named = f"{path}[{name}]", named
        if type(inner) is str:
            if is_named:
                yield place, inner
        elif levels and type(inner) in (dict, list):
            yield from _addresses(inner, place, levels - 1, named=is_named)


def _check_address(value: Any, path: str, rules: ImageUrlOptions, *, of_operator: bool) -> None:
    if type(value) is not str or value.startswith("data:"):
        return
    if ":" not in value and path.endswith(_DATA_ENDS):  # base64 (of MP3 it begins with //): without a scheme no address
        return
    try:
        why = _why_not(value, rules, of_operator=of_operator)
    except Ambiguous as unclear:
        raise InvalidValue(f"'{path}' {unclear}.", param=path) from None
    if why is not None:
        raise InvalidValue(f"'{path}' {why}.", param=path)


def _why_not(value: str, rules: ImageUrlOptions, *, of_operator: bool) -> str | None:
    """Why an address may not be named, as the end of a sentence. Raises Ambiguous."""
    scheme, host = address_of(value)
    if scheme == "data":
        return None
    if rules.allow == "data_only":
        return "must be a data: address that holds the data itself (validation.image_urls.allow)"
    if not scheme:  # base64 alone, as some servers take it, or a name of theirs
        return None if rules.allow == "any" else "must be an https or data address (validation.image_urls.allow)"
    if rules.allow == "https" and scheme != "https":
        return "must be an https or data address (validation.image_urls.allow)"
    private_pass = rules.private_addresses == "allow" or (rules.private_addresses == "operators" and of_operator)
    if scheme not in ("http", "https"):
        if scheme in _STORES or (scheme == "file" and private_pass):
            return None if not rules.hosts else "must name one of the hosts of validation.image_urls.hosts"
        return "must be an http, https or data address"
    if rules.hosts:
        if _is_listed(host, rules.hosts):
            return None
        return "must name one of the hosts that are allowed here (validation.image_urls.hosts)"
    reach = reach_of(host)
    if reach == "public" or rules.private_addresses == "allow" or (reach == "private" and private_pass):
        return None
    return "must not name a host of a private network (validation.image_urls.private_addresses)"


def _is_listed(host: str, hosts: tuple[str, ...]) -> bool:
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)
