"""OpenRouter's catalogue as the sandbox has it. Figures are illustrative; names come from the wild."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from llm_service.sandbox.dialects.money import Price
from llm_service.sandbox.messages import Json


@dataclass(frozen=True, slots=True)
class Model:
    """One model: prices are strings in USD per token, as on the wire."""

    id: str
    name: str
    provider: str
    prompt: str
    completion: str
    cache_read: str | None = None
    context_length: int = 131_072
    max_output: int | None = 16_384
    can_reason: bool = False
    reasons: bool = False  # without being asked
    reasoning_format: str = "unknown"
    stop_word: str = "stop"
    tool_word: str = "tool_calls"
    vision: bool = False

    @property
    def price(self) -> Price:
        """For exact costs."""
        cached = None if self.cache_read is None else Decimal(self.cache_read)
        return Price(Decimal(self.prompt), Decimal(self.completion), cached)

    def native(self, finish: str) -> str:
        """The provider's own word for a finish reason."""
        return {"stop": self.stop_word, "tool_calls": self.tool_word}.get(finish, finish)

    def listed(self) -> Json:
        """As in `GET /models`."""
        pricing: Json = {"prompt": self.prompt, "completion": self.completion, "request": "0"}
        if self.cache_read is not None:
            pricing["input_cache_read"] = self.cache_read
        return {"id": self.id, "name": self.name, "context_length": self.context_length, "pricing": pricing}


MODELS = (
    Model("deepseek/deepseek-v4-flash", "DeepSeek: DeepSeek V4 Flash", "DeepSeek", "0.00000015", "0.0000006", "0.000000003",
          1_048_576, 393_216, can_reason=True, reasoning_format="unknown"),
    Model("openai/gpt-4o-mini", "OpenAI: GPT-4o-mini", "OpenAI", "0.00000015", "0.0000006", "0.000000075", 128_000,
          stop_word="completed", tool_word="completed", vision=True),
)  # fmt: skip

_BY_ID = {model.id: model for model in MODELS}


def model_named(name: str) -> Model | None:
    """The model of a name, variant suffix included; names of the sandbox itself exist always."""
    if name.startswith(("sandbox/", "sandbox-")):
        return Model(name, f"Sandbox: {name}", "Sandbox", "0.000001", "0.000002", "0.0000001", can_reason=True)
    return _BY_ID.get(name.partition(":")[0])
