"""Settings that LiteLLM reads in two sections: those of ``router_settings`` go before those of ``litellm_settings``."""

from llm_service.migration.draft import Draft
from llm_service.migration.source import Found


def either(draft: Draft, name: str) -> Found | None:
    """The one that holds; of the other the report says so."""
    both = [section.get(name) for key in ("router_settings", "litellm_settings") if (section := draft.source.get(key))]
    given = [found for found in both if found is not None]
    for found in given[1:]:
        draft.report.without_effect(found, f"{given[0].path} holds, as it does in LiteLLM.")
    return given[0] if given else None


def of_section(draft: Draft, section: str, name: str) -> Found | None:
    """One setting of a section."""
    found = draft.source.get(section)
    return None if found is None else found.get(name)
