"""Where an entry's upstream is, with which credential, in whose dialect."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from llm_service.domain import HttpUrl
from llm_service.migration.draft import Draft
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.naming import label_of, slug
from llm_service.migration.litellm.texts import concealed, is_no_key, may_be_secret, told, written
from llm_service.migration.litellm.values import variable_of
from llm_service.migration.litellm.words import HOSTS, WORDS, Word
from llm_service.migration.source import Found
from llm_service.providers import SERVERS

_USABLE: Final = HttpUrl(credentials="put them into headers")
_ENDPOINTS: Final = ("/chat/completions", "/completions", "/embeddings")
_DEEPSEEK: Final = ("https://api.deepseek.com", "https://api.deepseek.com/v1", "https://api.deepseek.com/beta")
_NO_VERSION: Final = frozenset(("", "v1", "preview", "latest"))
_FIREWORKS: Final = "accounts/fireworks/models/"


class Unusable(Exception):
    """The entry cannot be asked; the message says why."""


def locate(draft: Draft, entry: Entry) -> None:
    """Fill in the entry's provider and its own name of the model. Raises Unusable."""
    base = entry.params.get("api_base") or entry.params.get("base_url")
    if base is None:
        _dialect(entry)
        _usual_address(draft, entry)
    else:
        if variable_of(base.text() or "") is None and (problem := _USABLE.problem(base.text() or "")):
            raise Unusable(f"its {base.path.rpartition('.')[2]} {problem}")
        _at_own_server(entry, base)
        _dialect(entry)
        _given_address(draft, entry, base)
    _credential(draft, entry)
    entry.model = _upstream_name(entry, has_base=base is not None)


def _at_own_server(entry: Entry, base: Found) -> None:
    """``openai/`` stands for any server of its dialect: for one that is known by its host, or for one of nobody's."""
    if entry.word.server != "openai":
        return
    host = urlsplit(base.text() or "").hostname or ""
    if host in HOSTS:
        known = WORDS[HOSTS[host]]
        if known is not entry.word:
            entry.changed(base, "providers.{provider}", f"This is {known.name}, and its own dialect is spoken with it.")
        entry.word = known
    else:
        entry.word = Word(name=label_of(written_plainly(base)) or "openai-compatible")


def _dialect(entry: Entry) -> None:
    if entry.word.kind:
        entry.provider["kind"] = entry.word.kind
    if entry.word.server:
        entry.provider["server"] = entry.word.server


def _given_address(draft: Draft, entry: Entry, base: Found) -> None:
    text, query = _split_query(draft, base)
    for endpoint in _ENDPOINTS:
        text = text.removesuffix(endpoint)
    if entry.word.server == "azure":
        _azure(draft, entry, base, text, query)
        return
    if entry.word.path and not text.endswith(entry.word.path):
        entry.changed(base, "providers.{provider}.base_url", f"With {entry.word.path} behind it: {entry.word.caveat}.")
        text += entry.word.path
    elif not any(said.found == base for said in entry.said):
        entry.carried(base, "providers.{provider}.base_url")
    if text not in _public(entry.word):
        entry.provider["base_url"] = text
    if query:
        entry.provider["query"] = query


def _usual_address(draft: Draft, entry: Entry) -> None:
    word, row = entry.word, SERVERS.get(entry.word.server)
    if word.base:
        public = None if row is None or row.base_url is None else row.base_url.removesuffix(word.path)
        reference = draft.variables.refer(word.base) if public is None else f"${{{word.base}:-{public}}}"
        why = f"The file names no address: LiteLLM reads it from {word.base}."
        entry.changed(entry.params["model"], "providers.{provider}", why)
        if word.server == "azure":
            _azure(draft, entry, None, reference, {})
        else:
            entry.provider["base_url"] = f"{reference}{word.path}"
    elif word.base_url:
        entry.provider["base_url"] = word.base_url
    elif row is None and not word.kind:
        raise Unusable(f"{entry.term}/ needs an address: api_base")


def _azure(draft: Draft, entry: Entry, base: Found | None, text: str, query: Mapping[str, str]) -> None:
    """The classic addresses have the deployment in them, and want a version; newer ones need neither."""
    version = entry.params.get("api_version")
    wanted = written(draft, version) if version is not None else query.get("api-version", "")
    classic = "/openai/deployments/" in text or (
        wanted not in _NO_VERSION and "/openai/v1" not in text and not entry.is_wildcard
    )
    if classic and "/openai/deployments/" not in text:
        text = f"{text.removesuffix('/openai')}/openai/deployments/{entry.model}"
    elif not classic and not text.endswith("/openai/v1"):
        text = f"{text.removesuffix('/openai')}/openai/v1"
    entry.provider["base_url"] = text
    if classic:
        entry.provider["query"] = {"api-version": wanted}
    if base is not None:
        entry.changed(base, "providers.{provider}.base_url", _azure_note(base, classic=classic))
    if version is not None and classic:
        entry.carried(version, "providers.{provider}.query")
    elif version is not None:
        entry.changed(version, "providers.{provider}.base_url", "Addresses that end in /openai/v1 want no version.")


def _azure_note(base: Found, *, classic: bool) -> str:
    variable = variable_of(base.text() or "")
    slash = f" {variable} must have no slash at its end." if variable else ""
    if classic:
        return f"With the deployment in the address, as its api_version wants it: a provider for each.{slash}"
    return f"Azure's newer addresses are used, which end in /openai/v1 and want no api_version.{slash}"


def _credential(draft: Draft, entry: Entry) -> None:
    key = entry.params.get("api_key")
    if key is None:
        if entry.word.key:
            entry.provider["api_key"] = draft.variables.refer(entry.word.key)
        return
    if is_no_key(key.text() or ""):
        entry.carried(key, "", "It stands for no key, and none is sent.")
        return
    name = entry.word.key or f"{slug(entry.word.name).upper()}_API_KEY"
    reference = concealed(draft, key, name=name)
    entry.provider["api_key"] = reference
    if message := told(key, reference):
        entry.changed(key, "providers.{provider}.api_key", message)
    else:
        entry.carried(key, "providers.{provider}.api_key")


def _upstream_name(entry: Entry, *, has_base: bool) -> str:
    if entry.term == "fireworks_ai" and not entry.model.startswith("accounts/") and not entry.is_wildcard:
        return f"{_FIREWORKS}{entry.model}"
    if entry.term == "huggingface" and not has_base and entry.model.count("/") > 1:
        provider, _, model = entry.model.partition("/")
        return f"{model}:{provider}"
    return entry.model


def _public(word: Word) -> tuple[str, ...]:
    if word.kind == "deepseek":
        return _DEEPSEEK
    if word.kind == "openrouter":
        return ("https://openrouter.ai/api/v1",)
    row = SERVERS.get(word.server)
    return (row.base_url,) if row is not None and row.base_url is not None else ()


def _split_query(draft: Draft, base: Found) -> tuple[str, dict[str, str]]:
    """The address, and what stood behind it: a value that may be a secret gets a variable."""
    address, _, query = written(draft, base).partition("?")
    pairs = parse_qsl(query)
    return address.rstrip("/"), {
        name: draft.variables.secret(base, value, name=f"QUERY_{name.upper()}") if may_be_secret(name) else value
        for name, value in pairs
    }


def written_plainly(base: Found) -> str:
    """An address, or a reference to one, for a name to be made of."""
    text = base.text() or ""
    return f"${{{variable}}}" if (variable := variable_of(text)) else text
