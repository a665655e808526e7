"""Model catalogues of OpenAI-compatible servers, in the forms in which they come."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from llm_service.domain import ModelInfo, UpstreamInvalidResponse
from llm_service.providers.wire import decode

_CONTEXT: Final = ("context_length", "context_window", "max_context_length", "max_model_len")
_END: Final = ("expiration_date", "deprecation", "deprecation_date")
"""OpenRouter's word, Mistral's, and that of others: a day, perhaps with its hour, or null."""
_OUTPUT: Final = ("max_completion_tokens", "max_output_tokens")


def entries_of(raw: bytes) -> list[Mapping[str, Any]]:
    """The entries that have an id: of ``{"data": [...]}``, or of a bare list (Together).

    Raises UpstreamInvalidResponse.
    """
    body, _ = decode(raw.strip())
    listed = body.get("data") if isinstance(body, dict) else body
    if not isinstance(listed, list):
        raise UpstreamInvalidResponse("The provider's answer is no list of models.")
    return [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]]


def model_info(entry: Mapping[str, Any], *, owner: str, prefix: str = "") -> ModelInfo:
    """One entry, with what it tells of itself; its id without the server's prefix."""
    created = count(entry.get("created"))
    expires_on = next(filter(None, (day(entry.get(name)) for name in _END)), None)
    return ModelInfo(
        id=entry["id"].removeprefix(prefix),
        owned_by=entry["owned_by"] if isinstance(entry.get("owned_by"), str) else owner,
        created=created,
        name=entry["name"] if isinstance(entry.get("name"), str) else None,
        context_tokens=next(filter(None, (count(entry.get(name)) for name in _CONTEXT)), None),
        max_output_tokens=next(filter(None, (count(entry.get(name)) for name in _OUTPUT)), None),
        deprecated=expires_on is not None or entry.get("deprecated") is True,
        expires_on=expires_on,
    )


def day(told: object) -> date | None:
    """The day of a date or a moment as ISO 8601 writes them."""
    try:
        return date.fromisoformat(told[:10]) if isinstance(told, str) else None
    except ValueError:
        return None


def count(figure: object) -> int | None:
    """A positive number as an integer."""
    if isinstance(figure, bool) or not isinstance(figure, int | float):
        return None
    return int(figure) if 0 < figure < 1e15 else None
