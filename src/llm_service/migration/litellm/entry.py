"""An entry of ``model_list`` that can be served from here."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llm_service.migration.litellm.said import Said
from llm_service.migration.litellm.words import Word
from llm_service.migration.report import Outcome
from llm_service.migration.source import Found


@dataclass(slots=True)
class Entry:
    """One deployment. ``params``: its ``litellm_params``, those of its credential among them."""

    found: Found
    asked: str
    """The name that clients ask for."""
    term: str
    """LiteLLM's name of the provider."""
    word: Word
    model: str
    """The model's name at the provider."""
    params: dict[str, Found]
    info: dict[str, Found]
    provider: dict[str, Any] = field(default_factory=dict)
    """Settings of its provider."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Limits of what is sent to this deployment."""
    price: dict[str, Decimal] = field(default_factory=dict)
    deployment: dict[str, Any] = field(default_factory=dict)
    weight: Decimal | None = None
    order: int | None = None
    said: list[Said] = field(default_factory=list)

    @property
    def is_wildcard(self) -> bool:
        """Whether it is of many models."""
        return "*" in self.asked or "*" in self.model

    def carried(self, found: Found, to: str = "", message: str = "") -> None:
        """It means the same here."""
        self.said.append(Said(found=found, outcome=Outcome.CARRIED, to=to, message=message))

    def changed(self, found: Found, to: str, message: str) -> None:
        """It is there in another way."""
        self.said.append(Said(found=found, outcome=Outcome.CHANGED, to=to, message=message))

    def lost(self, found: Found, message: str) -> None:
        """It is not there."""
        self.said.append(Said(found=found, outcome=Outcome.LOST, message=message))
