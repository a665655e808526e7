"""Settings of a request's way: what serves the models of the operator's naming, and how long answers are repeated."""

from dataclasses import dataclass
from typing import Annotated

from llm_service.domain import Bounds, Doc, NotEmpty, Pattern

_MODEL = Pattern(r"[!-~]{1,256}", "the upstream's name of a model, without blanks")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """One way to serve a model."""

    provider: Annotated[str, Doc("Name of a configured provider.")]
    model: Annotated[str, _MODEL, Doc("The model's name at that provider.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """One model of the operator's own naming."""

    deployments: Annotated[tuple[DeploymentOptions, ...], NotEmpty(), Doc("Ways to serve the model, the first first.")]
    cache_ttl_s: Annotated[
        float | None,
        Bounds(at_least=0, at_most=366 * 24 * 3600),
        Doc("How long its answers are fresh in the response cache; 0 keeps none. Unset: `cache.ttl_s`."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyOptions:
    """Requests that are sent again under the same ``Idempotency-Key``."""

    retention_s: Annotated[
        float,
        Bounds(at_least=60, at_most=31_536_000),
        Doc("How long the answer under an `Idempotency-Key` is kept, and the same request is answered with it."),
    ] = 86_400.0
