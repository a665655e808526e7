"""Media types of GraphQL over HTTP, and which one a client takes."""

from typing import Final

from llm_service.domain import InvalidRequest

JSON: Final = "application/json"
RESPONSE: Final = "application/graphql-response+json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"
OFFERED: Final = (RESPONSE, JSON, EVENTS)
MAX_CHARS: Final = 4096


class NotAcceptable(InvalidRequest):
    """The client takes none of the forms that there are."""


def media_type(accept: bytes | None) -> str:
    """The form that the client likes most; ours among equals. Raises NotAcceptable.

    RFC 9110 section 12.5.1; without the header GraphQL over HTTP asks for its own type since 2025.
    """
    if accept is None or not accept.strip():
        return RESPONSE
    wanted = _wanted(accept.decode("latin-1")[:MAX_CHARS])
    best = max(OFFERED, key=lambda offered: (_quality(offered, wanted), -OFFERED.index(offered)))
    if _quality(best, wanted) <= 0:
        raise NotAcceptable(f"'Accept' must allow one of {', '.join(OFFERED)}.", param="Accept")
    return best


def takes_page(accept: bytes | None) -> bool:
    """Whether a browser asks for a page."""
    return accept is not None and _wanted(accept.decode("latin-1")[:MAX_CHARS]).get(HTML, 0.0) > 0


def _wanted(accept: str) -> dict[str, float]:
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            wanted[name] = float(quality)
        except ValueError:
            wanted[name] = 0.0
    return wanted


def _quality(offered: str, wanted: dict[str, float]) -> float:
    """How much a form is wanted. Events are never what somebody gets who says that anything will do."""
    if offered in wanted:
        return wanted[offered]
    if offered == EVENTS:
        return 0.0
    return wanted.get(f"{offered.partition('/')[0]}/*", wanted.get("*/*", 0.0))
