"""OpenRouter's catalogue as the sandbox has it: names from the wild, figures illustrative."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.sandbox.messages import Json
from llm_service.sandbox.money import Price

PROVIDERS: Final = {
    "ai21": "AI21",
    "amazon-bedrock": "Amazon Bedrock",
    "anthropic": "Anthropic",
    "deepinfra": "DeepInfra",
    "deepseek": "DeepSeek",
    "google-vertex": "Google",
    "groq": "Groq",
    "minimax": "Minimax",
    "mistral": "Mistral",
    "openai": "OpenAI",
    "parasail": "Parasail",
    "sandbox-one": "Sandbox One",
    "sandbox-two": "Sandbox Two",
    "together": "Together",
    "z-ai": "Z.AI",
}
"""Display names by slug."""

_PEAK_HOURS: Final = frozenset((1, 2, 3))
_COMMON: Final = "max_tokens temperature top_p stop frequency_penalty presence_penalty seed response_format"
_TOOLS: Final = " tools tool_choice structured_outputs"
_REASONING: Final = " reasoning include_reasoning"


@fact_in_order
class Model:
    """One model; prices in USD per token, as strings, the way they go over the wire."""

    id: str
    name: str
    providers: tuple[str, ...]
    prompt: str
    completion: str
    cache_read: str | None = None
    context_length: int = 131_072
    max_output: int | None = 16_384
    parameters: str = _COMMON + _TOOLS
    inputs: str = "text"
    output: str = "text"
    reasons: bool = False  # without being asked
    reasoning_format: str = "unknown"
    natives: tuple[str, str] = ("stop", "tool_calls")  # the provider's words for stop and tool_calls
    served_as: str | None = None  # the name in answers, where it differs
    peak: bool = False  # twice the price in the small hours
    free: bool = False  # there is a variant :free

    @property
    def can_reason(self) -> bool:
        """Whether it thinks at all."""
        return "reasoning" in self.parameters

    def price(self, at: float) -> Price:
        """USD per token at a moment."""
        factor = 2 if self.peak and datetime.fromtimestamp(at, UTC).hour in _PEAK_HOURS else 1
        cached = None if self.cache_read is None else Decimal(self.cache_read) * factor
        return Price(Decimal(self.prompt) * factor, Decimal(self.completion) * factor, cached)

    def native(self, finish: str) -> str:
        """The provider's own word for a finish reason."""
        return {"stop": self.natives[0], "tool_calls": self.natives[1]}.get(finish, finish)

    def variant_free(self) -> Model:
        """The variant that costs nothing."""
        name = f"{self.id}:free"
        return replace(self, id=name, prompt="0", completion="0", cache_read=None, served_as=name, peak=False)

    def listed(self) -> Json:
        """As in `GET /models`."""
        return {
            "id": self.id,
            "canonical_slug": self.served_as or self.id,
            "hugging_face_id": None,
            "name": self.name,
            "created": 1_777_000_000,
            "description": f"{self.name}, simulated.",
            "context_length": self.context_length,
            "architecture": self.architecture(),
            "pricing": self.pricing(),
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": self.max_output,
                "is_moderated": self.providers[0] == "openai",
            },
            "per_request_limits": None,
            "supported_parameters": self.parameters.split(),
            "default_parameters": {"temperature": None, "top_p": None},
            "expiration_date": None,
            "links": {"details": f"/api/v1/models/{self.id}/endpoints"},
        }

    def architecture(self) -> Json:
        """Modalities and tokenizer."""
        inputs = self.inputs.split()
        return {
            "modality": f"{'+'.join(inputs)}->{self.output}",
            "input_modalities": inputs,
            "output_modalities": [self.output],
            "tokenizer": "Other",
            "instruct_type": None,
        }

    def pricing(self) -> Json:
        """Strings, USD per token."""
        pricing: Json = {"prompt": self.prompt, "completion": self.completion}
        pricing |= dict.fromkeys(("request", "image", "web_search", "internal_reasoning"), "0")
        if self.cache_read is not None:
            pricing["input_cache_read"] = self.cache_read
        if self.peak:
            double = {name: _plain(Decimal(pricing[name]) * 2) for name in ("prompt", "completion", "input_cache_read")}
            pricing["overrides"] = [{"utc_start": "0100", "utc_end": "0400", **double}]
        return pricing


def _plain(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


_CLAUDE: Final = ("end_turn", "tool_use")
_GPT: Final = ("completed", "completed")
_CLAUDE_HOSTS: Final = ("anthropic", "amazon-bedrock", "google-vertex")

MODELS: Final = (
    Model("anthropic/claude-haiku-4.5", "Anthropic: Claude Haiku 4.5", _CLAUDE_HOSTS, "0.000001", "0.000005",
          "0.0000001", 200_000, 64_000, _COMMON + _TOOLS + _REASONING, "text image",
          reasoning_format="anthropic-claude-v1", natives=_CLAUDE),
    Model("anthropic/claude-sonnet-4.5", "Anthropic: Claude Sonnet 4.5", _CLAUDE_HOSTS, "0.000003", "0.000015",
          "0.0000003", 1_000_000, 64_000, _COMMON + _TOOLS + _REASONING, "text image",
          reasoning_format="anthropic-claude-v1", natives=_CLAUDE),
    Model("deepseek/deepseek-v4-flash", "DeepSeek: DeepSeek V4 Flash", ("deepseek", "deepinfra", "together"),
          "0.00000015", "0.0000006", "0.000000003", 1_048_576, 393_216, _COMMON + _TOOLS + _REASONING, peak=True),
    Model("deepseek/deepseek-v4-pro", "DeepSeek: DeepSeek V4 Pro", ("deepseek", "together"), "0.00000066",
          "0.00000198", "0.000000022", 1_048_576, 393_216, _COMMON + _TOOLS + _REASONING, reasons=True),
    Model("google/gemini-2.5-flash", "Google: Gemini 2.5 Flash", ("google-vertex",), "0.0000003", "0.0000025",
          "0.00000003", 1_048_576, 65_535, _COMMON + _TOOLS + _REASONING, "text image",
          reasoning_format="google-gemini-v1", natives=("STOP", "STOP")),
    Model("meta-llama/llama-3.3-70b-instruct", "Meta: Llama 3.3 70B Instruct", ("groq", "deepinfra", "together"),
          "0.0000001", "0.00000032", free=True),
    Model("minimax/minimax-m2", "MiniMax: MiniMax M2", ("minimax",), "0.0000002", "0.000001", context_length=196_608,
          max_output=131_072, parameters=_COMMON + _TOOLS + _REASONING, reasons=True, free=True),
    Model("mistralai/mistral-small", "Mistral: Mistral Small", ("mistral",), "0.0000001", "0.0000003"),
    Model("openai/gpt-4o", "OpenAI: GPT-4o", ("openai",), "0.0000025", "0.00001", "0.00000125", 128_000,
          parameters=_COMMON + _TOOLS + " logprobs top_logprobs", inputs="text image", natives=_GPT),
    Model("openai/gpt-4o-mini", "OpenAI: GPT-4o-mini", ("openai",), "0.00000015", "0.0000006", "0.000000075", 128_000,
          parameters=_COMMON + _TOOLS + " logprobs top_logprobs", inputs="text image", natives=_GPT),
    Model("openai/gpt-5-mini", "OpenAI: GPT-5 Mini", ("openai",), "0.00000025", "0.000002", "0.000000025", 400_000,
          128_000, _COMMON + _TOOLS + _REASONING, "text image", reasons=True,
          reasoning_format="openai-responses-v1", natives=_GPT, served_as="openai/gpt-5-mini-2025-08-07"),
    Model("qwen/qwen3.5-35b-a3b", "Qwen: Qwen3.5 35B A3B", ("parasail", "deepinfra"), "0.00000025", "0.000001",
          parameters=_COMMON + _TOOLS + _REASONING, reasons=True, served_as="qwen/qwen3.5-35b-a3b-20260224"),
    Model("z-ai/glm-5.3-flash", "Z.AI: GLM 5.3 Flash", ("z-ai", "deepinfra"), "0.00000007", "0.0000004"),
)  # fmt: skip

AUTO: Final = Model("openrouter/auto", "Auto Router", ("openai",), "-1", "-1", context_length=2_000_000)

EMBEDDING_MODELS: Final = (
    Model("openai/text-embedding-3-small", "OpenAI: Text Embedding 3 Small", ("openai",), "0.00000002", "0",
          context_length=8192, max_output=None, parameters="dimensions", output="embeddings"),
    Model("qwen/qwen3-embedding-8b", "Qwen: Qwen3 Embedding 8B", ("deepinfra",), "0.00000001", "0",
          context_length=32_768, max_output=None, parameters="dimensions", output="embeddings"),
)  # fmt: skip

OURS: Final = Model(
    "sandbox/chat",
    "Sandbox",
    ("sandbox-one", "sandbox-two"),
    "0.000001",
    "0.000002",
    "0.0000001",
    parameters=_COMMON + _TOOLS + _REASONING + " logprobs top_logprobs",
)
"""The model behind all names of the sandbox itself."""
