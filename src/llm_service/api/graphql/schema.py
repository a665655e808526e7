"""The schema, from its types, and its text (SDL)."""

import strawberry
from graphql import GraphQLSchema, lexicographic_sort_schema, print_schema
from strawberry.schema.config import StrawberryConfig

from llm_service.api.graphql.access import guard
from llm_service.api.graphql.executor import Executor
from llm_service.api.graphql.inputs import plan_inputs
from llm_service.api.graphql.mutation import Mutation
from llm_service.api.graphql.query import Query
from llm_service.api.graphql.scalars import SCALARS
from llm_service.api.graphql.subscription import Subscription


def build_schema() -> strawberry.Schema:
    """The schema with every field guarded; takes about 0.1 s."""
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=Executor,
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    guard(core_of(schema))
    plan_inputs(core_of(schema), schema.config.name_converter)
    return schema


def core_of(schema: strawberry.Schema) -> GraphQLSchema:
    """The schema as graphql-core executes it."""
    core: GraphQLSchema = schema._schema
    return core


def schema_text() -> str:
    """The schema definition language of the whole schema, in the order of names."""
    return print_schema(lexicographic_sort_schema(core_of(build_schema()))) + "\n"
