"""LiteLLM's guardrails that are filters here: personal data, secrets, prompt injection, words and patterns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from llm_service.filters import FilterOptions, filter_problems
from llm_service.migration.draft import Draft
from llm_service.migration.litellm.naming import slug
from llm_service.migration.litellm.texts import written
from llm_service.migration.litellm.values import flag
from llm_service.migration.source import Found

Filter = dict[str, Any]

_ENTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "EMAIL_ADDRESS": ("email", ""),
    "PHONE_NUMBER": ("phone", ""),
    "CREDIT_CARD": ("card", ""),
    "IBAN_CODE": ("iban", ""),
    "IP_ADDRESS": ("ip", ""),
    "US_SSN": ("national_id", "US"),
    "US_ITIN": ("national_id", "US"),
    "IN_AADHAAR": ("national_id", "IN"),
    "IN_PAN": ("national_id", "IN"),
    "UK_NHS": ("national_id", "GB"),
    "UK_NINO": ("national_id", "GB"),
    "ES_NIF": ("national_id", "ES"),
    "ES_NIE": ("national_id", "ES"),
    "IT_FISCAL_CODE": ("national_id", "IT"),
    "PL_PESEL": ("national_id", "PL"),
    "FI_PERSONAL_IDENTITY_CODE": ("national_id", "FI"),
}
_NO_ENTITY: Final = (
    "The filter `pii` finds what has a form of its own (e-mail, phone, card, IBAN, IP address, "
    "national ids), and no names, "
    "places, dates or organisations. Have a judge of yours asked: {type: moderation, url: ...}."
)
_OPT_IN: Final = (
    "Requests cannot choose filters, so it is there and switched off: set enabled, and for whom (keys, models)."
)
_WEBHOOK: Final = (
    "Its service is not asked. A filter {type: moderation, url: ...} asks a webhook of yours, which can ask it."
)
_INSTEAD: Final[Mapping[str, str]] = {
    "openai_moderation": "Models of /moderations are not asked: put it behind a webhook, {type: moderation, url: ...}, "
    "or have a chat model judge, {type: moderation, model: ...} (docs/filters.md).",
    "tool_permission": "Tools are not judged by name.",
}
_EITHER_CASE: Final = "LiteLLM's patterns take letters in either case, which `(?i)` says here."
_JUDGED: Final = "Prompts are judged before they are sent, answers while they come."
_BY_TAGS: Final = f"{_JUDGED} Tags of requests choose no filters here: it is for all of them."
_LOGGING: Final = (
    "Prompts are not logged unless observability.log_content is on, and then as the other filters left them."
)
_DETAILS: Final[Mapping[str, str]] = {
    "presidio_language": "Forms are found whatever the language.",
    "presidio_analyzer_api_base": "No server of Presidio is needed.",
    "presidio_anonymizer_api_base": "No server of Presidio is needed.",
    "guardrail_info": "It is a note for people.",
}


def build_filters(draft: Draft) -> None:
    """Write ``filters``."""
    found = draft.source.get("guardrails")
    filters: list[Filter] = []
    for one in [] if found is None else found.items():
        filters += _guardrail(draft, one)
    if filters:
        draft.settings.setdefault("filters", []).extend(_with_names(filters))


def _guardrail(draft: Draft, found: Found) -> Sequence[Filter]:
    name, params = found.get("guardrail_name"), found.get("litellm_params")
    kind = None if params is None else params.get("guardrail")
    if params is None or kind is None or not kind.text():
        draft.report.lost(found, "It has no litellm_params.guardrail.")
        return []
    word = (kind.text() or "").replace("-", "_")
    sides = _sides(params.get("mode"))
    if word not in _KINDS or not sides:
        draft.report.lost(found, _LOGGING if word in _KINDS else _INSTEAD.get(word, _WEBHOOK))
        return []
    filters = [
        {**one, "name": slug((name and name.text()) or "") or slug(word)} for one in _KINDS[word](draft, kind, params)
    ]
    if filters:
        _common(draft, found, params, filters, sides)
    else:
        draft.report.lost(found, "Nothing of it is a filter here.")
    return filters


def _common(draft: Draft, found: Found, params: Found, filters: list[Filter], sides: Sequence[str]) -> None:
    """What all guardrails have: a name, a side, whether they are on."""
    on = params.get("default_on")
    for one in filters:
        if one["type"] != "prompt_injection":
            one["on"] = [*sides]
        if not flag(on):
            one["enabled"] = False
    if not flag(on):
        draft.report.changed(found, "filters[].enabled", _OPT_IN)
    if on is not None:
        draft.report.carried(on, "filters[].enabled")
    if (name := found.get("guardrail_name")) is not None:
        draft.report.carried(name, "filters[].name")
    if (mode := params.get("mode")) is not None:
        draft.report.changed(mode, "filters[].on", _BY_TAGS if [*mode.entries()] else _JUDGED, whole=True)
    for detail, message in _DETAILS.items():
        if (one_detail := params.get(detail) or found.get(detail)) is not None:
            draft.report.without_effect(one_detail, message)


def _sides(mode: Found | None) -> Sequence[str]:
    given = set() if mode is None else {*_words_in(mode)}
    sides = []
    if given & {"pre_call", "during_call"} or not given:
        sides.append("input")
    if "post_call" in given:
        sides.append("output")
    return sides


def _words_in(found: Found) -> Iterator[str | None]:
    """A word, a list of them, or, by tags of requests, maps of both."""
    below = found.below()
    if not below:
        yield found.text()
    for one in below:
        yield from _words_in(one)


def _pii(draft: Draft, kind: Found, params: Found) -> Sequence[Filter]:
    draft.report.changed(
        kind, "filters[].type", "By the service's own detectors, in its own process (docs/filters.md)."
    )
    reversible = params.get("output_parse_pii")
    if reversible is not None:
        draft.report.carried(reversible, "filters[].reversible")
    extra = {"reversible": True} if flag(reversible) else {}
    config = params.get("pii_entities_config")
    for name in ("presidio_score_thresholds", "presidio_filter_scope", "presidio_ad_hoc_recognizers"):
        if (one := params.get(name)) is not None:
            draft.report.lost(one, "Forms are found or not, without scores; patterns of your own are a filter `regex`.")
    if config is None:
        return [{"type": "pii", "action": "mask", **extra}]
    by_action: dict[str, Filter] = {}
    for name, action in config.entries():
        _entity(draft, name, action, by_action)
    for wanted in by_action.values():
        if "national_id" not in wanted["entities"]:
            wanted.pop("countries", None)
    return [{**one, **(extra if one["action"] == "mask" else {})} for one in by_action.values()]


def _entity(draft: Draft, name: str, action: Found, by_action: dict[str, Filter]) -> None:
    if name not in _ENTITIES:
        draft.report.lost(action, _NO_ENTITY)
        return
    does = "block" if (action.text() or "").upper() == "BLOCK" else "mask"
    entity, country = _ENTITIES[name]
    one = by_action.setdefault(does, {"type": "pii", "entities": [], "countries": [], "action": does})
    if entity not in one["entities"]:
        one["entities"].append(entity)
    if country and country not in one["countries"]:
        one["countries"].append(country)
    draft.report.carried(action, "filters[].entities")


def _secrets(draft: Draft, kind: Found, params: Found) -> Sequence[Filter]:
    message = "Keys of known forms; random-looking strings too with entropy: true (docs/filters.md)."
    draft.report.changed(kind, "filters[].type", message)
    return [{"type": "secrets", "action": "mask"}]


def _injection(draft: Draft, kind: Found, params: Found) -> Sequence[Filter]:
    message = (
        "Lakera is not asked: the service's own heuristic judges prompts, for injections alone. It "
        "reports; block when its "
        "verdicts are what you want. For Lakera's have a webhook asked: {type: moderation, url: ...}."
    )
    draft.report.changed(kind, "filters[].type", message)
    for name in ("api_key", "api_base", "project_id", "payload", "breakdown", "metadata", "dev_info"):
        if (one := params.get(name)) is not None:
            draft.report.lost(one, "Lakera is not asked.")
    if (flagged := params.get("on_flagged")) is not None:
        draft.report.changed(flagged, "filters[].action", "It reports either way, until you set block.")
    return [{"type": "prompt_injection", "action": "report"}]


def _content(draft: Draft, kind: Found, params: Found) -> Sequence[Filter]:
    """LiteLLM's own content filter: its words and patterns come over, its categories do not."""
    draft.report.changed(
        kind, "filters[].type", "Words become a filter `keywords`, patterns one `regex` (docs/filters.md)."
    )
    filters: list[Filter] = []
    words, patterns = params.get("blocked_words"), params.get("patterns")
    for one in [] if words is None else words.items():
        if (keyword := one.get("keyword")) is not None and (keyword.text() or "").strip():
            words_of_it = {"words": [written(draft, keyword)], "whole_words": False}
            filters.append({"type": "keywords", **words_of_it, "action": _action(one)})
            draft.report.carried(keyword, "filters[].words", "Within longer words, too: whole_words says otherwise.")
            _said_action(draft, one)
    for one in [] if patterns is None else patterns.items():
        filters += _pattern(draft, one)
    if (categories := params.get("categories")) is not None:
        draft.report.lost(
            categories, "Have a model judge: {type: moderation, model: ..., categories: [...]} (docs/filters.md)."
        )
    if not filters:
        draft.report.lost(kind, "It has neither words nor patterns that come over.")
    return filters


def _pattern(draft: Draft, found: Found) -> Sequence[Filter]:
    pattern = found.get("pattern")
    if pattern is None or not pattern.text():
        draft.report.lost(
            found, "Prebuilt patterns do not come over: see the filters pii and secrets (docs/filters.md)."
        )
        return []
    if problems := [*filter_problems(FilterOptions(type="regex", patterns=(f"(?i){pattern.text()}",)), leads=bool)]:
        draft.report.lost(found, f"A pattern is in RE2's syntax, without look-around: this one {problems[0][1]}.")
        return []
    draft.report.changed(pattern, "filters[].patterns", _EITHER_CASE)
    _said_action(draft, found)
    return [{"type": "regex", "patterns": [f"(?i){written(draft, pattern)}"], "action": _action(found)}]


def _action(found: Found) -> str:
    action = found.get("action")
    return "mask" if action is not None and (action.text() or "").upper() == "MASK" else "block"


def _said_action(draft: Draft, found: Found) -> None:
    if (action := found.get("action")) is not None:
        draft.report.carried(action, "filters[].action")
    for name in ("description", "name", "pattern_type"):
        if (note := found.get(name)) is not None:
            draft.report.without_effect(note, "It is a note for people.")


_KINDS: Final[Mapping[str, Callable[[Draft, Found, Found], Sequence[Filter]]]] = {
    "presidio": _pii,
    "hide_secrets": _secrets,
    "lakera": _injection,
    "lakera_v2": _injection,
    "litellm_content_filter": _content,
}


def _with_names(filters: Sequence[Filter]) -> list[Filter]:
    """No two of the same."""
    taken: dict[str, int] = {}
    named: list[Filter] = []
    for one in filters:
        name = one["name"]
        taken[name] = taken.get(name, 0) + 1
        given = name if taken[name] == 1 else f"{name}-{taken[name]}"
        named.append(
            {
                "type": one["type"],
                "name": given,
                **{key: value for key, value in one.items() if key not in ("type", "name")},
            }
        )
    return named
