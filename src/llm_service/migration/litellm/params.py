"""What the parameters of a deployment become, one by one: ``litellm_params`` and ``model_info``."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from llm_service.domain import HEADER_VALUE, HeaderName
from llm_service.migration.draft import Draft
from llm_service.migration.litellm import remedies
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.limits import MOST, budget_of, retries_of, timeout_of
from llm_service.migration.litellm.texts import concealed, may_be_secret, stands_in_clear, told, written
from llm_service.migration.litellm.values import flag, number, whole
from llm_service.migration.source import Found

Handler = Callable[[Draft, Entry, Found], None]

_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_QUERY_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")
_QUERY_VALUE: Final = re.compile(r"[ -~]+")
_MILLION: Final = 1_000_000
_DEAREST_USD: Final = 1_000_000
_LARGEST_WINDOW: Final = 1_000_000_000
_NOT_READ: Final = "It is not what LiteLLM's documentation says of it, so nothing was made of it."
_EXACT: Final = (
    "It holds exactly here, over all processes. A deployment without room is passed over, and a "
    "request is refused with "
    "429 where none has room."
)


def convert_params(draft: Draft, entry: Entry) -> None:
    """Make something of each parameter, or say what to do instead. Where the upstream is is known already."""
    for name, found in entry.params.items():
        if (handler := _PARAMS.get(name)) is not None:
            handler(draft, entry, found)
        elif name in remedies.PARAMETERS:
            entry.lost(found, remedies.PARAMETERS[name])
        elif name.startswith(remedies.CLOUD_PREFIXES):
            entry.lost(found, remedies.CLOUD)
    for name, found in entry.info.items():
        if (handler := _INFO.get(name)) is not None:
            handler(draft, entry, found)
        elif name in remedies.MODEL_FACTS:
            entry.lost(found, remedies.MODEL_FACTS[name])
        elif name in remedies.LABELS:
            entry.carried(found, "", "It is a note for people, without effect on requests.")
    _close_price(entry)


def _nothing(draft: Draft, entry: Entry, found: Found) -> None:
    """It is spoken of with the address."""


def _model(draft: Draft, entry: Entry, found: Found) -> None:
    caveat = "" if entry.word.path else entry.word.caveat
    if caveat:
        entry.changed(found, "models.{model}.deployments", f"{caveat}.")
    else:
        entry.carried(found, "models.{model}.deployments")


def _term(draft: Draft, entry: Entry, found: Found) -> None:
    entry.carried(found, "providers.{provider}")


def _rate(kind: str) -> Handler:
    def handle(draft: Draft, entry: Entry, found: Found) -> None:
        value = whole(found)
        if value is not None and 1 <= value <= MOST:
            entry.limits[kind] = value
        elif not stands_in_clear(found):
            entry.limits[kind] = written(draft, found)
        else:
            entry.lost(found, _NOT_READ)
            return
        entry.changed(found, f"limits.per_provider.{{provider}}.{kind}", _EXACT)

    return handle


def _parallel(draft: Draft, entry: Entry, found: Found) -> None:
    value = whole(found)
    if value is None or not 1 <= value <= 100_000:
        entry.lost(found, _NOT_READ)
        return
    entry.provider["max_concurrency"] = value
    entry.limits.setdefault("own", True)
    entry.carried(found, "providers.{provider}.max_concurrency", "It is a bound for each process.")


def _weight(draft: Draft, entry: Entry, found: Found) -> None:
    value = number(found)
    if value is None or value < 0:
        entry.lost(found, _NOT_READ)
        return
    entry.weight = value
    if value:
        entry.carried(found, "models.{model}.deployments[].weight")
    else:
        entry.changed(
            found, "models.{model}.deployments[].priority", "It is asked only where no other deployment can serve."
        )


def _order(draft: Draft, entry: Entry, found: Found) -> None:
    value = whole(found)
    if value is None or not 0 <= value < 1000:
        entry.lost(found, _NOT_READ)
        return
    entry.order = value
    entry.carried(found, "models.{model}.deployments[].priority")


def _timeout(setting: str) -> Handler:
    def handle(draft: Draft, entry: Entry, found: Found) -> None:
        value = timeout_of(found)
        if value is None:
            entry.lost(found, _NOT_READ)
            return
        entry.provider.setdefault("timeouts", {})[setting] = value
        entry.carried(found, f"providers.{{provider}}.timeouts.{setting}")

    return handle


def _retries(draft: Draft, entry: Entry, found: Found) -> None:
    value = retries_of(found)
    if value is None:
        entry.lost(found, _NOT_READ)
        return
    entry.provider["max_retries"] = value
    entry.carried(found, "providers.{provider}.max_retries", "It holds within routing.retry_budget.")


def _budget(draft: Draft, entry: Entry, found: Found) -> None:
    duration = entry.params.get("budget_duration")
    budget = budget_of(found, duration)
    if isinstance(budget, str):
        entry.lost(found, budget)
        if duration is not None:
            entry.lost(duration, budget)
        return
    entry.limits |= budget.settings
    entry.changed(found, "limits.per_provider.{provider}.budget_usd", budget.message)
    if duration is not None:
        entry.changed(duration, "limits.per_provider.{provider}.budget_period", budget.message)


def _headers(draft: Draft, entry: Entry, found: Found) -> None:
    for name, value in found.entries():
        problem = HeaderName().problem(name) or HEADER_VALUE.problem(value.text() or "")
        if value.text() is None or problem:
            entry.lost(value, f"Such a header cannot be set: it {problem}." if value.text() else _NOT_READ)
            continue
        concealing = may_be_secret(name)
        text = concealed(draft, value, name=f"{name.upper()}_HEADER") if concealing else written(draft, value)
        entry.provider.setdefault("headers", {})[name] = text
        if concealing and (message := told(value, text)):
            entry.changed(value, "providers.{provider}.headers", message)
        else:
            entry.carried(value, "providers.{provider}.headers")


def _query(draft: Draft, entry: Entry, found: Found) -> None:
    for name, value in found.entries():
        if not _QUERY_NAME.fullmatch(name) or not _QUERY_VALUE.fullmatch(value.text() or ""):
            entry.lost(value, "Such a parameter cannot be set: providers.<name>.query takes ASCII.")
            continue
        entry.provider.setdefault("query", {})[name] = (
            concealed(draft, value, name=f"QUERY_{name.upper()}") if may_be_secret(name) else written(draft, value)
        )
        entry.carried(value, "providers.{provider}.query")


def _organization(draft: Draft, entry: Entry, found: Found) -> None:
    if found.text() is None or HEADER_VALUE.problem(found.text() or ""):
        entry.lost(found, "Give each organization a provider of its own, with its header OpenAI-Organization.")
        return
    entry.provider.setdefault("headers", {})["OpenAI-Organization"] = written(draft, found)
    entry.carried(found, "providers.{provider}.headers")


def _tags(draft: Draft, entry: Entry, found: Found) -> None:
    message = (
        "Requests choose by `X-LLM-Tags: route=<word>`, in place of `tags` in the body. `default` is a word as others."
    )
    for one in found.each():
        word = one.text() or ""
        if _TAG.fullmatch(word):
            entry.deployment.setdefault("tags", []).append(word)
            entry.changed(one, "models.{model}.deployments[].tags", message)
        else:
            entry.lost(one, "A tag of a deployment is a word of letters, digits, '.', '_', ':' and '-'.")


def _price(kind: str) -> Handler:
    def handle(draft: Draft, entry: Entry, found: Found) -> None:
        value = number(found)
        if value is None or not 0 <= value * _MILLION <= _DEAREST_USD:
            entry.lost(found, f"A price cannot be made of it. Set prices.<provider>/{entry.model}.{kind}.")
            return
        if kind in entry.price and entry.price[kind] != value * _MILLION:
            entry.lost(found, "The other place of this entry that says so holds.")
            return
        entry.price[kind] = value * _MILLION
        entry.carried(found, f"prices.{{provider}}/{entry.model}.{kind}", "It is for a million tokens here.")

    return handle


def _close_price(entry: Entry) -> None:
    """A price has both sides: with one alone the other would be a guess."""
    if entry.price and not {"input_usd", "output_usd"} <= entry.price.keys():
        missing = {"input_usd": "input", "output_usd": "output"}
        lacking = " and ".join(word for name, word in missing.items() if name not in entry.price)
        message = f"A price needs both sides: set prices.<provider>/{entry.model} with that of {lacking} too."
        prices = [said for said in entry.said if said.to.startswith("prices.")]
        entry.said = [said for said in entry.said if said not in prices]
        for said in prices:
            entry.lost(said.found, message)
        entry.price = {}


def _drop_params(draft: Draft, entry: Entry, found: Found) -> None:
    entry.carried(found, "", "What a provider lacks is dropped where it is a hint, and refused where it is not.")


def _context(draft: Draft, entry: Entry, found: Found) -> None:
    value = whole(found)
    if value is None or not 1 <= value <= _LARGEST_WINDOW:
        entry.lost(found, _NOT_READ)
        return
    entry.deployment["context_tokens"] = value
    entry.changed(
        found,
        "models.{model}.deployments[].context_tokens",
        "It is the window for prompt and answer together here: raise it where the model counts answers apart.",
    )


def _ability(word: str) -> Handler:
    def handle(draft: Draft, entry: Entry, found: Found) -> None:
        can = flag(found)
        if can is None:
            entry.lost(found, _NOT_READ)
        elif can:
            entry.carried(found, "", "Nothing is held against a deployment that is not said to lack something.")
        else:
            entry.deployment.setdefault("lacks", []).append(word)
            entry.carried(found, "models.{model}.deployments[].lacks")

    return handle


def _mode(draft: Draft, entry: Entry, found: Found) -> None:
    entry.carried(found, "", "A model answers at /v1/chat/completions, /v1/completions and /v1/embeddings alike.")


_PRICES: Final[Mapping[str, Handler]] = {
    "input_cost_per_token": _price("input_usd"),
    "output_cost_per_token": _price("output_usd"),
    "cache_read_input_token_cost": _price("cached_input_usd"),
}
_PARAMS: Final[Mapping[str, Handler]] = {
    "model": _model,
    "custom_llm_provider": _term,
    "api_key": _nothing,
    "api_base": _nothing,
    "base_url": _nothing,
    "api_version": _nothing,
    "budget_duration": _nothing,
    "litellm_credential_name": _nothing,
    "rpm": _rate("requests_per_minute"),
    "tpm": _rate("tokens_per_minute"),
    "max_parallel_requests": _parallel,
    "weight": _weight,
    "order": _order,
    "timeout": _timeout("total_s"),
    "stream_timeout": _timeout("first_chunk_s"),
    "max_retries": _retries,
    "num_retries": _retries,
    "max_budget": _budget,
    "headers": _headers,
    "extra_headers": _headers,
    "default_headers": _headers,
    "extra_query": _query,
    "organization": _organization,
    "tags": _tags,
    "drop_params": _drop_params,
    **_PRICES,
}
_INFO: Final[Mapping[str, Handler]] = {
    "max_input_tokens": _context,
    "mode": _mode,
    "supports_function_calling": _ability("tools"),
    "supports_vision": _ability("images"),
    "supports_response_schema": _ability("json_schema"),
    "supports_audio_input": _ability("audio"),
    "supports_pdf_input": _ability("files"),
    "order": _order,
    **_PRICES,
}
