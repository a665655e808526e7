"""DeepSeek's dialect: thinking, prefix completion, fill-in-the-middle. Facts and sources: docs/providers.md."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import UpstreamInvalidResponse
from llm_service.providers.base import Account, UpstreamCall, UpstreamRequest
from llm_service.providers.catalog import Server
from llm_service.providers.deepseek_messages import translated
from llm_service.providers.deepseek_policy import refuse_what_it_lacks
from llm_service.providers.failures import FILTERED, NO_MODEL, NO_MONEY, Rules
from llm_service.providers.openai_compatible import PATHS, Now, OpenAICompatible

SERVER: Final = Server(
    name="deepseek",
    base_url="https://api.deepseek.com",
    renamed=MappingProxyType({"max_completion_tokens": "max_tokens"}),
    dropped=frozenset(
        """audio include_reasoning logit_bias metadata modalities moderation n parallel_tool_calls prediction
        prompt_cache_key prompt_cache_options prompt_cache_retention safety_identifier seed service_tier store
        verbosity""".split()
    ),
)
RETIRED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"deepseek-chat": ("deepseek-flash", "disabled"), "deepseek-reasoner": ("deepseek-flash", "enabled")}
)
"""Names switched off on 2026-07-24, with the model and the thinking that they stood for."""
TODAYS: Final[Mapping[str, str]] = MappingProxyType({retired: model for retired, (model, _) in RETIRED.items()})
WITHOUT_VISION: Final = frozenset({"deepseek-v4-pro"})
EFFORTS: Final[Mapping[str, str]] = MappingProxyType(
    {"minimal": "low", "medium": "high", "xhigh": "high", "ultra": "max"}
)


class DeepSeek(OpenAICompatible):
    """What DeepSeek lacks is dropped where it is a hint, and refused where the answer would mean something else."""

    rules = Rules(
        texts=(
            (re.compile(r"The supported API model names are"), NO_MODEL),
            (re.compile(r"Content Exists Risk"), FILTERED),
            (re.compile(r"Insufficient Balance"), NO_MONEY),
        )
    )

    def __init__(self, *, base_url: str, now: Now) -> None:
        super().__init__(SERVER, now=now)
        root = base_url.removesuffix("/v1").removesuffix("/beta")
        self._beta_url = f"{root}/beta"
        self.account_paths = (f"{root}/user/balance",)  # the one address that is not below /v1 as well

    def request(self, call: UpstreamCall) -> UpstreamRequest:
        """The call in DeepSeek's words, to its beta address where only that can serve it. Raises InvalidValue."""
        refuse_what_it_lacks(call.request)
        body = self._body(call)
        _name_model_and_thinking(body)
        if (user := body.pop("user", None)) and "user_id" not in body:
            body["user_id"] = hashlib.sha256(str(user).encode("utf-8", "surrogatepass")).hexdigest()
        if call.request.operation == "completion":
            if isinstance(body["prompt"], list):
                body["prompt"] = body["prompt"][0]
            body.setdefault("thinking", {"type": "disabled"})  # FIM is for models that do not think
            return UpstreamRequest(path=PATHS["completion"], body=body, base_url=self._beta_url)
        body["messages"] = translated(
            body["messages"],
            images=body["model"] not in WITHOUT_VISION,
            with_reasoning=bool(body.get("tools")) and _thinks(body),
        )
        return UpstreamRequest(path=PATHS["chat"], body=body, base_url=self._beta_url if _needs_beta(body) else None)

    def account(self, bodies: Sequence[bytes]) -> Account:
        """The balance, in dollars where there is one. Raises UpstreamInvalidResponse."""
        try:
            told = json.loads(bodies[0])
            infos = sorted(told["balance_infos"], key=lambda info: info["currency"] != "USD")
            balance = Decimal(infos[0]["total_balance"]) if infos else None
            currency = infos[0]["currency"] if infos else None
            return Account(usable=told["is_available"] is True, balance=balance, currency=currency, detail=told)
        except (ValueError, ArithmeticError, KeyError, TypeError):
            raise UpstreamInvalidResponse("The provider's answer is no balance.") from None


def _name_model_and_thinking(body: dict[str, Any]) -> None:
    """Retired names become today's, and every spelling of the wish to reason becomes ``thinking`` and its effort.

    What the client says of thinking itself wins over an effort, and that over what a retired name stood for.
    """
    model, implied = RETIRED.get(body["model"], (body["model"], None))
    body["model"] = model
    reasoning = body.pop("reasoning", None) or {}
    effort = body.pop("reasoning_effort", None) or reasoning.get("effort")
    if effort == "none" or reasoning.get("enabled") is False:
        implied, effort = "disabled", None
    elif effort or reasoning.get("enabled"):
        implied = "enabled"
    if implied and body.get("thinking") is None:
        body["thinking"] = {"type": implied}
    if effort and _thinks(body):
        body["reasoning_effort"] = EFFORTS.get(effort, effort)


def _thinks(body: Mapping[str, Any]) -> bool:
    thinking = body.get("thinking")
    return not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")


def _needs_beta(body: Mapping[str, Any]) -> bool:
    """Whether the last message is a prefix to continue, or every tool is strict."""
    if body["messages"][-1].get("prefix") is True:
        return True
    functions = [tool.get("function") for tool in body.get("tools") or ()]
    return bool(functions) and all(isinstance(one, Mapping) and one.get("strict") is True for one in functions)
