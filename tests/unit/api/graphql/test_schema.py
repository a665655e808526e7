"""The schema: its text is the committed one, its fields are guarded, its words are those of the services."""

import subprocess
import sys
from inspect import isawaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from llm_service import domain, services, storage
from llm_service.alerts.entry import Happening
from llm_service.alerts.options import Severity
from llm_service.api.acts import Acts
from llm_service.api.graphql import access, enums
from llm_service.api.graphql.costs import COSTS, LENGTHS
from llm_service.api.graphql.schema import build_schema, core_of, schema_text
from llm_service.domain import Caller, NotFound, ScopeMissing
from tests.support.service import LogLines

DOCUMENT = Path(__file__).parents[4] / "docs" / "schema.graphql"
WORDS = {
    enums.CacheWord: domain.CacheStatus,
    enums.CostWord: domain.CostSource,
    enums.StatusWord: domain.OutcomeStatus,
    enums.UsageGroupWord: storage.UsageGroup,
    enums.ScopeWord: domain.Scope,
    enums.BudgetPeriodWord: domain.BudgetPeriod,
    enums.LimitScopeWord: domain.LimitScope,
    enums.LimitKindWord: domain.LimitKind,
    enums.ReachWord: storage.Reach,
    enums.EventKindWord: services.EventKind,
    enums.SeverityWord: Severity,
    enums.HappeningWord: Happening,
    enums.ActDoorWord: storage.ActDoor,
    enums.ActOutcomeWord: storage.ActOutcome,
}
DESCRIBES_ITSELF = {"PageInfo", "Query", "Mutation", "Subscription"}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return core_of(build_schema())


def own_types(schema: GraphQLSchema) -> dict[str, Any]:
    return {name: of_type for name, of_type in schema.type_map.items() if not name.startswith("__")}


def test_the_committed_text_is_the_schema() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == schema_text(), "run scripts/update-schema"


def test_the_fields_of_the_contract_are_there(schema: GraphQLSchema) -> None:
    roots = [schema.query_type, schema.mutation_type, schema.subscription_type]
    fields = [set(root.fields) for root in roots if root is not None]
    assert fields == [
        {"models", "model", "providers", "provider", "health", "usage", "generation", "generations", "cache", "limits",
         "keys", "me", "explain", "alerts", "alertHistory", "auditLog"},
        {"chat", "embed", "cancel", "createKey", "updateKey", "rotateKey", "revokeKey", "purgeCache",
             "setProviderEnabled", "drainProvider"},
        {"chatStream", "events", "metrics"},
    ]  # fmt: skip


def test_every_field_of_the_roots_states_its_scopes(schema: GraphQLSchema) -> None:
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root is not None]
    fields = {f"{root}.{name}" for root in roots for name in root.fields}
    assert fields <= set(access.ACCESS)


def test_every_other_field_that_asks_a_service_states_its_scopes() -> None:
    """Those whose resolvers are coroutines: what a type has by itself, it has at once."""
    plain = core_of(build_schema())
    asks = {
        f"{of_type}.{name}"
        for of_type in plain.type_map.values()
        if isinstance(of_type, GraphQLObjectType) and not of_type.name.startswith("__")
        for name, field in of_type.fields.items()
        if (definition := field.extensions.get("strawberry-definition")) is not None and definition.is_async
    }
    assert asks <= set(access.ACCESS)


async def asked(schema: GraphQLSchema, path: str, caller: Caller, log: LogLines, *, for_operators: bool = True) -> None:
    """What the field does before it asks anybody."""
    owner, _, name = path.partition(".")
    of_type = schema.type_map[owner]
    assert isinstance(of_type, GraphQLObjectType)
    field = of_type.fields[name]
    resolve: Any = field.subscribe or field.resolve
    context = SimpleNamespace(
        caller=caller,
        for_operators=for_operators,
        parts=SimpleNamespace(acts=Acts(log)),
        request_id="req_1",
        peer="10.0.0.7",
    )
    made = resolve(None, SimpleNamespace(context=context), id="key_7")
    if isawaitable(made):
        await made


@pytest.mark.parametrize("path", access.ACCESS)
async def test_a_field_refuses_who_lacks_its_scope(schema: GraphQLSchema, path: str) -> None:
    log = LogLines()
    with pytest.raises(ScopeMissing):
        await asked(schema, path, Caller(key_id="k", scopes=frozenset()), log)
    acts = path.startswith("Mutation.") and access.ACCESS[path] == ("admin",)
    told = {"act": path, "outcome": "scope_missing", "key_id": "k", "on": "key_7", "peer": "10.0.0.7"}
    assert log.lines == ([{"level": "info", "event": "admin", "request_id": "req_1", **told}] if acts else [])


@pytest.mark.parametrize("path", [path for path, scopes in access.ACCESS.items() if "inference" not in scopes])
async def test_what_is_for_operators_is_refused_where_everybody_asks(schema: GraphQLSchema, path: str) -> None:
    everything = Caller(key_id="admin", scopes=frozenset(("inference", "read", "admin")))
    with pytest.raises(NotFound, match=r"server\.admin_port"):
        await asked(schema, path, everything, LogLines(), for_operators=False)


def test_a_root_field_without_scopes_stops_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "ACCESS", {path: one for path, one in access.ACCESS.items() if path != "Query.me"})
    with pytest.raises(KeyError, match=r"Query\.me"):
        build_schema()


@pytest.mark.parametrize(("words", "literal"), WORDS.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_an_enum_has_the_words_of_the_services(words: Any, literal: Any) -> None:
    assert [word.value for word in words] == list(get_args(literal))
    assert [word.name for word in words] == [word.upper() for word in get_args(literal)]


def test_types_inputs_and_enums_are_described(schema: GraphQLSchema) -> None:
    kinds = (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType, GraphQLEnumType)
    silent = {
        name
        for name, of_type in own_types(schema).items()
        if isinstance(of_type, kinds) and not of_type.description and not name.endswith("Edge")
    }
    assert silent <= DESCRIBES_ITSELF


def test_root_fields_are_described_with_their_scopes(schema: GraphQLSchema) -> None:
    for path, scopes in access.ACCESS.items():
        owner, _, name = path.partition(".")
        description = schema.type_map[owner].fields[name].description  # type: ignore[attr-defined]
        assert description
        if owner in DESCRIBES_ITSELF and len(scopes) < 3 and name != "cancel":
            assert f"Scope: {' or '.join(scopes)}." in description


def test_every_cost_and_length_is_of_a_field_that_there_is(schema: GraphQLSchema) -> None:
    for path in (*COSTS, *LENGTHS):
        owner, _, name = path.partition(".")
        of_type = schema.type_map[owner]
        assert isinstance(of_type, GraphQLObjectType)
        assert name.startswith("__") or name in of_type.fields


def test_lists_of_objects_without_pages_have_a_length(schema: GraphQLSchema) -> None:
    """Lists below a root are long, or stand in the table."""
    for root in (schema.query_type, schema.mutation_type):
        for name, field in (root.fields if root is not None else {}).items():
            listed = str(field.type).startswith("[") and isinstance(get_named_type(field.type), GraphQLObjectType)
            assert not listed or f"{root}.{name}" in LENGTHS


def test_the_service_starts_without_the_libraries() -> None:
    code = """
import sys
import llm_service.bootstrap, llm_service.cli.serve
assert not {"graphql", "strawberry"} & set(sys.modules), "imported at the start"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
