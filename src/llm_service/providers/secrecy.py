"""No error repeats the gateway's own credential, whatever an upstream echoes of it."""

from typing import Final

from llm_service.domain import MASK, LLMServiceError, Secret

_SHOWN_ENDS: Final = (12, 8)
"""Providers shorten a key to its last characters when they name it."""


def hide(credential: Secret | None, error: LLMServiceError) -> None:
    """Mask the credential, and its end, in the error's message."""
    if credential is None:
        return
    text = credential.reveal()
    for part in (text, *(text[-length:] for length in _SHOWN_ENDS)):
        if len(part) >= min(_SHOWN_ENDS):
            error.message = error.message.replace(part, MASK)
    error.args = (error.message,)
