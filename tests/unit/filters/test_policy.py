"""Which filters a request meets, and that answers under other ones are others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.domain import Caller, Candidate
from llm_service.filters import NO_POLICY, FilterOptions, FilterUnusable, build_policies
from tests.support.finding import caller, policies
from tests.support.records import key

MODELS = ("a/x", "a/y", "b")
KEYS = ("key_a", "key_b", "local")
OPTIONS = st.builds(
    FilterOptions,
    type=st.sampled_from(["keywords", "regex", "moderation", "allowed_models"]),
    name=st.sampled_from(["one", "two"]),
    enabled=st.booleans(),
    on=st.sampled_from([(), ("input",), ("output",)]),
    action=st.sampled_from(["block", "report"]),
    on_failure=st.sampled_from(["open", "closed"]),
    models=st.lists(st.sampled_from(["a/*", "a/x", "b"]), max_size=2).map(tuple),
    keys=st.lists(st.sampled_from(KEYS), max_size=2).map(tuple),
    except_keys=st.lists(st.sampled_from(KEYS), max_size=1).map(tuple),
    words=st.lists(st.sampled_from(["red", "blue"]), max_size=2).map(tuple),
    timeout_s=st.sampled_from([1.0, 2.0]),
)
REQUESTS = st.tuples(st.sampled_from(MODELS), st.lists(st.sampled_from(MODELS), max_size=2), st.sampled_from(KEYS))
WHERE = ("name", "enabled", "models", "keys", "except_keys", "timeout_s")


def applies(options: FilterOptions, asked: list[str], key_id: str) -> bool:
    """The rule once more, as it is told."""
    named = not options.models or any(
        name == one or (one[-1] == "*" and name.startswith(one[:-1])) for one in options.models for name in asked
    )
    return (
        options.enabled
        and named
        and (not options.keys or key_id in options.keys)
        and (key_id not in options.except_keys)
    )


def told(options: FilterOptions) -> dict[str, Any]:
    """What of a filter may change an answer."""
    fields = {name: getattr(options, name) for name in FilterOptions.__dataclass_fields__ if name not in WHERE}
    return {**fields, "on": options.sides, "headers": dict(options.headers)}


@settings(max_examples=60)
@given(st.lists(OPTIONS, max_size=4), REQUESTS, REQUESTS, st.lists(OPTIONS, max_size=4))
def test_the_version_differs_where_the_filters_that_apply_differ_and_only_there(
    filters: list[FilterOptions], one: Any, other: Any, others: list[FilterOptions]
) -> None:
    seen = []
    for options, (model, models, key_id) in ((filters, one), (filters, other), (others, one)):
        policy = policies(*options).for_request(model, models, caller(key_id))
        expected = [each for each in options if applies(each, [model, *models], key_id)]
        assert list(policy.all) == expected
        assert (policy is NO_POLICY) == (not expected)
        seen.append((policy.version, [told(each) for each in expected]))
    for first in seen:
        for second in seen:
            assert (first[0] == second[0]) == (first[1] == second[1])


def test_each_side_has_its_filters_in_the_order_of_the_settings() -> None:
    policy = policies(
        FilterOptions(type="regex", name="b"),
        FilterOptions(type="regex", name="a", on=("output",)),
        FilterOptions(type="prompt_injection"),
        FilterOptions(type="moderation", model="m"),
        FilterOptions(type="allowed_models", allowed=("x",)),
        FilterOptions(type="pii", enabled=False),
    ).for_request("m", (), caller())
    assert [one.name for one in policy.input] == ["b", "prompt_injection"]
    assert [one.name for one in policy.output] == ["b", "a"]
    assert [one.type for one in policy.asking] == ["moderation"]
    assert [one.type for one in policy.naming] == ["allowed_models"]


def test_keys_are_known_by_id_and_by_name() -> None:
    known = policies(
        FilterOptions(type="regex", name="by name", keys=("team",)),
        FilterOptions(type="regex", name="by id", keys=("key_1",)),
        FilterOptions(type="regex", name="of others", except_keys=("team",)),
    )
    issued = Caller(key_id="key_1", scopes=frozenset(), key=key("key_1", name="team"))
    assert [one.called for one in known.for_request("m", (), issued).all] == ["by name", "by id"]
    assert [one.called for one in known.for_request("m", (), caller("admin")).all] == ["of others"]


@pytest.mark.parametrize(
    ("model", "models", "served", "expected"),
    [
        ("fast", (), (), ["fast"]),
        ("fast", (), (("or", "a/x"), ("p", "y")), ["fast", "all of or", "x"]),
        ("a/x", (), (("or", "a/x"),), ["all of or", "x"]),
        ("or/or/a/x", (), (("or", "or/a/x"),), ["all of or", "x"]),
        ("or/b", ("a/x",), (("or", "b"),), ["all of or", "x"]),
        ("p/y", (), (("p", "y"),), []),
    ],
)
def test_a_model_is_met_by_whatever_name_it_is_asked_for(
    model: str, models: tuple[str, ...], served: Sequence[tuple[str, str]], expected: list[str]
) -> None:
    known = policies(
        FilterOptions(type="regex", name="fast", models=("fast",)),
        FilterOptions(type="regex", name="all of or", models=("or/*",)),
        FilterOptions(type="regex", name="x", models=("or/a/x",)),
    )
    candidates = [Candidate(provider=provider, upstream_model=name) for provider, name in served]
    assert [one.called for one in known.for_request(model, models, caller(), candidates).all] == expected


def test_the_same_filters_are_one_policy_and_are_found_again() -> None:
    known = policies(FilterOptions(type="regex", name="one"), FilterOptions(type="regex", name="two", keys=("key_b",)))
    first = known.for_request("m", (), caller("key_a"))
    assert known.for_request("other", ("more",), caller("key_c")) is first
    assert known.for_request("m", (), caller("key_b")) is not first


def test_a_file_of_words_counts_by_what_stands_in_it(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    versions = []
    for text in ("red\n\n  blue  \n", "red\nblue", "red\ngreen\n"):
        file.write_text(text, encoding="utf-8")
        policy = build_policies([FilterOptions(type="keywords", words_file=file)]).for_request("m", (), caller())
        versions.append(policy.version)
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "has no words"), (b"\xff\xfe\x00", "must be a text file in UTF-8"), (None, "cannot be read: No such file")],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FilterUnusable, match=f"The filter keywords cannot be used: words_file {message}"):
        build_policies([FilterOptions(type="keywords", words_file=file)])


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "other"}, True),
        ({"models": ("m",)}, True),
        ({"keys": ("key_a",)}, True),
        ({"except_keys": ("key_b",)}, True),
        ({"timeout_s": 9.0}, True),
        ({"on": ("input", "output")}, True),
        ({"words": ("red", "blue")}, False),
        ({"action": "mask"}, False),
        ({"on": ("input",)}, False),
        ({"allow": ("red",)}, False),
        ({"headers": {"a": "b"}}, False),
    ],
)
def test_a_version_is_made_of_what_is_let_through_and_not_of_where(change: dict[str, Any], same: bool) -> None:
    versions = {
        policies(FilterOptions(**{"type": "keywords", "words": ("red",), **given}))
        .for_request("m", (), caller())
        .version
        for given in ({}, change)
    }
    assert (len(versions) == 1) == same
