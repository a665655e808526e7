"""OpenRouter's dialect: routing fields, attribution, costs, prices. Facts and sources: docs/providers.md."""

from typing import Any, Final

from llm_service.providers.base import UpstreamCall
from llm_service.providers.catalog import Server
from llm_service.providers.openai_compatible import OpenAICompatible

SERVER: Final = Server(name="openrouter", base_url="https://openrouter.ai/api/v1", cost="usd")


class OpenRouter(OpenAICompatible):
    """OpenRouter takes everything that OpenAI takes, and more; all of it passes."""

    def _body(self, call: UpstreamCall) -> dict[str, Any]:
        return super()._body(call)
