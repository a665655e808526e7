"""Whatever a configuration of LiteLLM's says: its result can be loaded, nothing is left out, no secret is shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from llm_service.config import Fields, Source, read_yaml
from llm_service.migration import Found, Outcome, from_litellm, problems, yaml_text
from llm_service.migration.litellm.general import _GENERAL, _LITELLM
from llm_service.migration.litellm.guardrails import _ENTITIES, _KINDS
from llm_service.migration.litellm.params import _INFO, _PARAMS
from llm_service.migration.litellm.remedies import GENERAL, LITELLM, MODEL_FACTS, PARAMETERS, ROUTER, SECTIONS
from llm_service.migration.litellm.words import ELSEWHERE, SAME, WORDS

SECRET = "canary-7f3a-secret"

words = st.sampled_from((*WORDS, *SAME, *ELSEWHERE, "newcomer"))
names = st.sampled_from(
    ("gpt-4o", "a b", "x/y", "*", "gpt-*", "openai/*", "ünicode", "a${X}", "", "claude-3", "models/é")
)
addresses = st.sampled_from(
    (
        "http://localhost:11434",
        "https://contoso.openai.azure.com/?api-version=1",
        "https://10.0.0.7:8000/v1/chat/completions",
        "https://u:p@host/v1",
        "http://[broken",
        "os.environ/BASE",
        "ftp://x",
        "",
    )
)
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**12),
    st.floats(-1, 1e9),
    st.sampled_from(
        (
            "",
            "1",
            "30d",
            "1mo",
            "7w",
            "1e-6",
            "nan",
            "-1",
            "os.environ/V A R",
            "os.environ/VALUE",
            "${VALUE}",
            "${",
            "é",
            "a b",
        )
    ),
    st.lists(st.sampled_from(("x", "slack", "prometheus", "otel", "os.environ/VALUE", 3)), max_size=2),
    st.dictionaries(st.sampled_from(("a", "b c", "Authorization", "é")), st.sampled_from(("x", 1, None)), max_size=2),
)
models = st.builds(lambda word, name: f"{word}/{name}" if word else name, st.one_of(words, st.just("")), names)


def known(*tables: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Some settings of these tables, and some that nobody knows, with anything as their values."""
    return st.dictionaries(
        st.sampled_from((*(name for table in tables for name in table), "unheard_of")), junk, max_size=6
    )


entries = st.fixed_dictionaries(
    {},
    optional={
        "model_name": st.one_of(names, st.sampled_from(("fast", "careful")), junk),
        "litellm_params": st.builds(
            lambda extra, model, given: {**extra, "model": model, **given},
            known(_PARAMS, PARAMETERS),
            models,
            st.fixed_dictionaries(
                {},
                optional={
                    "tags": st.lists(st.sampled_from(("paid", "free tier", "é", "")), max_size=2),
                    "extra_headers": st.dictionaries(
                        st.sampled_from(("X-Team", "X Team", "Authorization", "é")),
                        st.sampled_from(("a", "é", "a\nb", 1, None, "${")),
                        max_size=2,
                    ),
                    "extra_query": st.dictionaries(
                        st.sampled_from(("a", "b c", "é")), st.sampled_from(("x", "é", 1, None, "${")), max_size=2
                    ),
                    "organization": st.sampled_from(("org-1", "é", ["a", "b"])),
                    "api_base": addresses,
                    "api_key": st.just(SECRET),
                    "weight": st.integers(0, 5000),
                },
            ),
        ),
        "model_info": known(_INFO, MODEL_FACTS),
    },
)
fallbacks = st.lists(
    st.dictionaries(
        st.sampled_from(("fast", "careful", "*", "openai/x")),
        st.lists(st.sampled_from(("fast", "careful", "openai/y", "openai/${Y}", "gone")), max_size=2),
        max_size=2,
    ),
    max_size=2,
)
routers = st.builds(
    lambda some, given: {**some, **given},
    known(
        ROUTER,
        (
            "timeout",
            "num_retries",
            "allowed_fails",
            "cooldown_time",
            "redis_host",
            "redis_password",
            "routing_strategy",
        ),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "fallbacks": fallbacks,
            "default_fallbacks": st.just(["fast"]),
            "model_group_alias": st.dictionaries(
                st.sampled_from(("alias", "fast", "a${X}")), st.sampled_from(("fast", "gone")), max_size=2
            ),
            "redis_password": st.just(SECRET),
            "enable_tag_filtering": st.just("true"),
            "provider_budget_config": st.just({"openai": {"budget_limit": 5, "time_period": "1d"}}),
        },
    ),
)
guardrails = st.lists(
    st.fixed_dictionaries(
        {
            "guardrail_name": st.sampled_from(("one", "two words", "日本")),
            "litellm_params": st.fixed_dictionaries(
                {"guardrail": st.sampled_from((*_KINDS, "aporia"))},
                optional={
                    "mode": st.sampled_from(("pre_call", ["pre_call", "post_call"], "logging_only")),
                    "default_on": st.booleans(),
                    "pii_entities_config": st.dictionaries(
                        st.sampled_from((*_ENTITIES, "PERSON")), st.sampled_from(("MASK", "BLOCK")), max_size=4
                    ),
                    "api_key": st.just(SECRET),
                    "blocked_words": st.just([{"keyword": "a b", "action": "MASK"}]),
                    "patterns": st.just([{"pattern": "(?=x)"}, {"pattern": "x+"}]),
                },
            ),
        }
    ),
    max_size=3,
)
sources = st.fixed_dictionaries(
    {"model_list": st.lists(entries, max_size=4)},
    optional={
        "litellm_settings": st.builds(
            lambda some, given: {**some, **given},
            known(
                _LITELLM,
                LITELLM,
                ("cache", "request_timeout", "callbacks", "json_logs", "max_budget", "budget_duration"),
            ),
            st.fixed_dictionaries(
                {}, optional={"cache": st.just("true"), "cache_params": known(("type", "ttl", "host", "port", "mode"))}
            ),
        ),
        "router_settings": routers,
        "general_settings": known(_GENERAL, GENERAL, ("alerting", "master_key", "max_parallel_requests")),
        "guardrails": guardrails,
        "environment_variables": st.just({"SECRET_NAME": SECRET}),
        "credential_list": st.just([{"credential_name": "c", "credential_values": {"api_key": SECRET}}]),
        **dict.fromkeys(SECTIONS, junk),
        "unheard_of_section": junk,
    },
)


def paths(found: Found) -> Iterator[str]:
    """Of all single values, by a walk of its own."""
    below = found.below()
    if not below and found.path:
        yield found.path
    for one in below:
        yield from paths(one)


@given(sources)
def test_an_import_leaves_nothing_out_and_can_be_loaded(source: dict[str, Any]) -> None:
    node, mistakes = read_yaml(orjson.dumps(source).decode(), Source("config.yaml", Path()))
    assert isinstance(node, Fields)
    assert not mistakes
    found = Found("", node.place, node)
    draft = from_litellm(found)
    text = yaml_text(draft.settings)
    assert problems(text, draft.settings) == ()
    said = [item.path for item in draft.report.items]
    for path in paths(found):
        assert any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in said), path
    told = "".join(f"{item.path}{item.to}{item.message}" for item in draft.report.items)
    assert SECRET not in text + told
    assert all(item.message for item in draft.report.items if item.outcome is not Outcome.CARRIED)
