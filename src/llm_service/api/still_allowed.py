"""Who was let in to listen may lose the right to it meanwhile: it is asked again, at every door in the same way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from llm_service.domain import (
    Caller,
    Credentials,
    IssuerUnavailable,
    LedgerUnavailable,
    LLMServiceError,
    Scope,
    require_scope,
)
from llm_service.services import Authenticator

LISTENS: Final[tuple[Scope, ...]] = ("read", "admin")
"""What happens here is told to these."""
LOOK_S: Final = 0.5
REFUSALS: Final = 2
"""So often, so far apart, it is looked whether a listener may still listen: what it may no more ends in a second."""


async def may_listen(authenticator: Authenticator, credentials: Credentials) -> None:
    """Ask once more, as at first: the key may have lost its scope, or the session be over. Raises as routes do."""
    caller = authenticator.authenticate(credentials)
    require_scope(caller if isinstance(caller, Caller) else await caller, *LISTENS)


async def end_once_refused(
    may_still: Callable[[], Awaitable[None]], end: Callable[[LLMServiceError], None], *, look_s: float = LOOK_S
) -> None:
    """Look each ``look_s`` whether ``may_still`` raises, and ``end`` what listens with what it says.

    The second refusal counts: where the key was revoked, that is told by its name meanwhile.
    """
    times = 0
    while times < REFUSALS:
        await asyncio.sleep(look_s)
        try:
            await may_still()
            times = 0
        except (LedgerUnavailable, IssuerUnavailable):
            pass  # who was known goes on while the database, or the issuer of the token, does not answer
        except LLMServiceError as refusal:
            times += 1
            if times == REFUSALS:
                end(refusal)
