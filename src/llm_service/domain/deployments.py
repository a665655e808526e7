"""The ways in which a model can be served."""

from datetime import date
from typing import Literal

from llm_service.domain.fact import fact
from llm_service.domain.usage import Price, PriceTerm

ProviderState = Literal["enabled", "draining", "disabled"]
"""Whether a provider gets requests: all, none that is new (what runs finishes), or none that has no content yet."""


@fact
class Candidate:
    """One deployment that could serve a request: the provider's name and the model's name there."""

    provider: str
    upstream_model: str


@fact
class ModelInfo:
    """A model as a provider's catalogue describes it; ``None`` where the catalogue is silent.

    ``created``: Unix seconds. ``context_tokens``, ``max_output_tokens``: tokens. ``price_terms``: prices that hold in
    place of ``price`` at some hours; the last one that does. ``deprecated``: it is to be given up, on ``expires_on``
    where that is said.
    """

    id: str
    owned_by: str
    created: int | None = None
    name: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    price_terms: tuple[PriceTerm, ...] = ()
    parameters: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    deprecated: bool = False
    expires_on: date | None = None
