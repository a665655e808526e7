"""What documents measure before they are validated."""

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from graphql import GraphQLSchema, get_introspection_query, parse

from llm_service.api.graphql.complexity import cost_in
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.graphql.schema import build_schema, core_of
from llm_service.domain import DocumentTooComplex, InvalidDocument

OPTIONS = GraphqlOptions()


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return core_of(build_schema())


@pytest.mark.parametrize(
    ("document", "cost"),
    [
        ("{ me { keyId } }", 1.1),
        ("{ me { keyId key { id name } } }", 2.3),
        ("{ health { status } }", 10.1),
        ("{ models { id } }", 1 + 500 * 0.3),
        ("{ models { id name provider } }", 1 + 500 * 0.5),
        ("{ models { price { input } } }", 1 + 500 * 1.3),
        ("{ providers { models { price { input } } } }", 1 + 5 * (0.2 + 1 + 500 * 1.3)),
        ("{ keys(first: 10) { edges { node { id } } } }", 10 + 10 * 2.3),
        ("{ keys { edges { node { usage { cost } } } } }", 10 + 100 * 3.3),
        ("{ keys(first: 5000) { edges { cursor } } }", 10 + 1000 * 1.3),
        ("query ($n: Int) { keys(first: $n) { edges { cursor } } }", 10 + 7 * 1.3),
        ("query ($m: Int = 3) { keys(first: $m) { edges { cursor } } }", 10 + 3 * 1.3),
        ("query ($f: Int) { keys(first: $f) { edges { cursor } } }", 10 + 900 * 1.3),
        ("query ($t: Int) { keys(first: $t) { edges { cursor } } }", 10 + 1000 * 1.3),
        ("query ($z: Int) { keys(first: $z) { edges { cursor } } }", 10 + 100 * 1.3),
        ("{ alertHistory(first: 10) { edges { node { at labels { name } } } } }", 10 + 10 * 3.4),
        ("mutation { a: cancel(streamId: 1) b: cancel(streamId: 2) }", 20),
        ("{ ...A ...A } fragment A on Query { health { status } }", 20.2),
        ("{ ... on Query { health { status } } }", 10.1),
        ("{ __schema { types { name fields { name } } } }", 2000),
        ("{ nothing { at { all } } }", 2.1),
        ("query A { me { keyId } } query B { health { status } }", 10.1),
    ],
)
def test_the_cost_is_as_documented(schema: GraphQLSchema, document: str, cost: float) -> None:
    variables = {"n": 7, "f": 900.0, "t": "900", "z": None}
    assert cost_in(parse(document), schema, OPTIONS, variables) == ceil(round(cost, 6))


@pytest.mark.parametrize(
    ("bound", "least", "document"),
    [
        ("max_depth", 4, "{ keys { edges { node { id } } } }"),
        ("max_depth", 4, "{ keys { ...A } } fragment A on ApiKeyConnection { edges { node { id } } }"),
        ("max_depth", 4, "{ k: keys { ...A } keys { edges { ...B } } } fragment A on ApiKeyConnection { edges"
                         " { ...B } } fragment B on ApiKeyEdge { node { id } }"),
        ("max_depth", 2, "{ __schema { types { fields { name } } } me { keyId } }"),
        ("max_aliases", 2, "{ a: me { keyId } me { k: keyId } }"),
        ("max_aliases", 4, "{ ...A ...A } fragment A on Query { me { a: keyId b: keyId } }"),
    ],
)  # fmt: skip
def test_a_bound_is_kept_to_the_one(schema: GraphQLSchema, bound: str, least: int, document: str) -> None:
    allowed: Any = {bound: least}
    cost_in(parse(document), schema, replace(OPTIONS, **allowed), {})
    refused: Any = {bound: least - 1}
    with pytest.raises(DocumentTooComplex, match=str(least - 1)):
        cost_in(parse(document), schema, replace(OPTIONS, **refused), {})


def test_the_introspection_of_clients_is_within_the_bounds(schema: GraphQLSchema) -> None:
    assert cost_in(parse(get_introspection_query(input_value_deprecation=True)), schema, OPTIONS, {}) == 2000


def test_what_all_models_tell_may_not_be_asked_for_many_times(schema: GraphQLSchema) -> None:
    fields = "{ id name provider ownedBy createdAt contextTokens maxOutputTokens parameters inputModalities }"
    for count, allowed in ((8, True), (30, False)):
        document = "{" + " ".join(f"a{at}: models {fields}" for at in range(count)) + "}"
        assert (cost_in(parse(document), schema, OPTIONS, {}) <= OPTIONS.max_cost) is allowed


@pytest.mark.parametrize(
    "document",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { me { ...B } } fragment B on Caller { ...C } fragment C on Caller { ...B }",
    ],
)
def test_circles_are_refused_and_not_walked(schema: GraphQLSchema, document: str) -> None:
    with pytest.raises(InvalidDocument, match="part of itself"):
        cost_in(parse(document), schema, OPTIONS, {})


def test_a_fragment_counts_again_for_each_use_of_other_variables(schema: GraphQLSchema) -> None:
    document = parse(
        "query A($n: Int = 1) { ...F } query B($n: Int = 9) { ...F }"
        " fragment F on Query { keys(first: $n) { edges { cursor } } }"
    )
    assert cost_in(document, schema, OPTIONS, {}) == 22  # 10 + 9 x 1.3, rounded up
