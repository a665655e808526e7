"""DeepSeek's dialect: thinking, prefix completion, fill-in-the-middle. Facts and sources: docs/providers.md."""

from typing import Any, Final

from llm_service.providers.base import UpstreamCall
from llm_service.providers.catalog import Server
from llm_service.providers.openai_compatible import OpenAICompatible

SERVER: Final = Server(
    name="deepseek", base_url="https://api.deepseek.com", renamed={"max_completion_tokens": "max_tokens"}
)
RETIRED_NAMES: Final = frozenset({"deepseek-chat", "deepseek-reasoner"})


class DeepSeek(OpenAICompatible):
    """What DeepSeek lacks is dropped where it is a hint, and refused where the answer would mean something else."""

    def _body(self, call: UpstreamCall) -> dict[str, Any]:
        body = super()._body(call)
        if body["model"] in RETIRED_NAMES:
            body["thinking"] = {"type": "enabled" if body["model"] == "deepseek-reasoner" else "disabled"}
            body["model"] = "deepseek-flash"
        return body
