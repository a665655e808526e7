"""Settings of a request's way: how long answers are repeated."""

from dataclasses import dataclass
from typing import Annotated

from llm_service.domain import Bounds, Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyOptions:
    """Requests that are sent again under the same ``Idempotency-Key``."""

    retention_s: Annotated[
        float,
        Bounds(at_least=60, at_most=31_536_000),
        Doc("How long the answer under an `Idempotency-Key` is kept, and the same request is answered with it."),
    ] = 86_400.0
