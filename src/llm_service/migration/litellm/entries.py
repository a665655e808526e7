"""The entries of ``model_list``: whom each asks, or why it cannot be asked from here."""

from collections.abc import Mapping
from typing import Final

from llm_service.config import is_null
from llm_service.migration.draft import Draft
from llm_service.migration.litellm.address import Unusable, locate
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.naming import can_be_named
from llm_service.migration.litellm.params import convert_params
from llm_service.migration.litellm.values import variable_of
from llm_service.migration.litellm.words import ELSEWHERE, FAMILIES, SAME, UNKNOWN_WORD, WORDS
from llm_service.migration.source import Found

_SERVED: Final = frozenset(("chat", "completion", "embedding"))
_INCOMPLETE: Final = "It has no {}, so LiteLLM cannot serve it either."
_PRIVATE: Final = "No secret of it is in the result"


def read_entries(draft: Draft) -> list[Entry]:
    """Those that can be served; of the others the report says why not."""
    models = draft.source.get("model_list")
    credentials = _credentials(draft)
    entries = [] if models is None else [_read(draft, found, credentials) for found in models.items()]
    return [entry for entry in entries if entry is not None]


def _read(draft: Draft, found: Found, credentials: Mapping[str, Found]) -> Entry | None:
    asked, params = found.get("model_name"), found.get("litellm_params")
    if asked is None or asked.text() is None:
        draft.report.lost(found, _INCOMPLETE.format("model_name"))
        return None
    if params is None or params.get("model") is None or not (params.get("model") or found).text():
        draft.report.lost(found, _INCOMPLETE.format("litellm_params.model"))
        return None
    name = asked.text() or ""
    given = _with_credential(draft, _values(params), credentials)
    info = _values(found.get("model_info"))
    try:
        entry = _understood(found, name, given, info)
        locate(draft, entry)
    except Unusable as why:
        draft.report.lost(found, f"{name} ({given['model'].text()}): {why}")
        return None
    draft.report.carried(asked, f"models.{name}")
    convert_params(draft, entry)
    return entry


def _understood(found: Found, name: str, params: dict[str, Found], info: dict[str, Found]) -> Entry:
    """Who is asked. Raises Unusable."""
    mode = (info["mode"].text() if "mode" in info else None) or "chat"
    if mode not in _SERVED:
        raise Unusable(
            f"models of the mode {mode} are not served here: there is /v1/chat/completions, /v1/completions and "
            "/v1/embeddings. Ask the provider itself."
        )
    written = params["model"].text() or ""
    if "${" in name:
        raise Unusable("its name has a ${ in it, which stands for a variable here. Write the name into the file.")
    if variable_of(written) is not None:
        raise Unusable(
            "which model it is stands in a variable, and names of models cannot. Write the name into the file."
        )
    term, model = _split(written, params)
    term = SAME.get(term, term)
    if term in ELSEWHERE:
        raise Unusable(ELSEWHERE[term])
    if term not in WORDS:
        raise Unusable(f"the provider {term} {UNKNOWN_WORD}." if term else _nobody(written))
    if not can_be_named(model):
        raise Unusable("its model has a name that cannot be sent: it is empty, has blanks or a ${, or is not ASCII.")
    return Entry(found=found, asked=name, term=term, word=WORDS[term], model=model, params=params, info=info)


def _split(written: str, params: Mapping[str, Found]) -> tuple[str, str]:
    """The provider that a name begins with, and the rest; else whom LiteLLM takes it for."""
    own = params["custom_llm_provider"].text() if "custom_llm_provider" in params else None
    term, slash, model = written.partition("/")
    if own:
        return own, model if slash and term == own else written
    if slash and (term in WORDS or term in SAME or term in ELSEWHERE):
        return term, model
    base = (params["api_base"].text() if "api_base" in params else "") or ""
    family = next((family for beginning, family in FAMILIES if written.startswith(beginning)), None)
    if family is not None:
        return family, written
    if written == "*":
        return "*", written
    if base and not slash:
        return "openai", written
    return (term, model) if slash else ("", written)


def _nobody(written: str) -> str:
    return f"the name of the model names no provider. Write openai/{written}, or whose it is, and import it again."


def _values(params: Found | None) -> dict[str, Found]:
    if params is None:
        return {}
    return {name: found for name, found in params.entries() if not is_null(found.node)}


def _credentials(draft: Draft) -> dict[str, Found]:
    listed = draft.source.get("credential_list")
    found: dict[str, Found] = {}
    for one in [] if listed is None else listed.items():
        name, values = one.get("credential_name"), one.get("credential_values")
        if name is None or values is None or not name.text():
            draft.report.lost(one, "It has no credential_name or no credential_values.")
            continue
        found[name.text() or ""] = values
        message = f"Its values stand in the providers of the entries that name it. {_PRIVATE} in clear."
        draft.report.changed(one, "providers", message, whole=True)
    return found


def _with_credential(draft: Draft, params: dict[str, Found], credentials: Mapping[str, Found]) -> dict[str, Found]:
    """With the values of the credential that it names; its own go before."""
    named = params.get("litellm_credential_name")
    if named is None:
        return params
    credential = credentials.get(named.text() or "")
    if credential is None:
        draft.report.lost(named, "The file has no credential of this name: give the provider its api_key by hand.")
        return params
    draft.report.carried(named, "providers")
    return {**_values(credential), **params}
