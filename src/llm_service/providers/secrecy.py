"""No error repeats the gateway's own credential, or what was asked, whatever an upstream echoes of it."""

from typing import Final

from llm_service.domain import MASK, Body, CallerError, LLMServiceError, Secret, quotes

_SHOWN_ENDS: Final = (12, 8)
"""Providers shorten a key to its last characters when they name it."""


def hide(credential: Secret | None, error: LLMServiceError) -> None:
    """Mask the credential, and its end, in the error's message and in what it names as the field at fault."""
    if credential is None:
        return
    text = credential.reveal()
    for part in (text, *(text[-length:] for length in _SHOWN_ENDS)):
        if len(part) >= min(_SHOWN_ENDS):
            error.message = error.message.replace(part, MASK)
            error.param = error.param and error.param.replace(part, MASK)
    error.args = (error.message,)


def hide_prompt(body: Body, error: LLMServiceError) -> None:
    """Where the error repeats what the request says: in place of the upstream's words a sentence without any.

    Only faults of the caller have words of an upstream at all.
    """
    if not isinstance(error, CallerError):
        return
    if quotes(error.message, body):
        error.message = "The provider refused the request; its reason is not told, for it repeats what was asked."
        error.args = (error.message,)
    if error.param is not None and quotes(error.param, body):
        error.param = None
