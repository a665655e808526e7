"""Settings of the models that the operator names: which deployments serve them."""

from dataclasses import dataclass
from typing import Annotated

from llm_service.domain import Doc, NotEmpty, Pattern

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
