"""A GraphQL document can be executed, or is refused with an error of ours, whatever it nests, spreads or repeats."""

from functools import cache

from llm_service.api.graphql.documents import Asked, Documents, Refusals
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.graphql.schema import build_schema
from llm_service.api.graphql.trusted import TrustedDocuments
from llm_service.domain import LLMServiceError


@cache
def documents() -> Documents:
    return Documents(build_schema(), GraphqlOptions(), TrustedDocuments({}, only=False))


def one(data: bytes) -> None:
    """``data``: the text of a document."""
    asked = Asked(data.decode("utf-8", "replace"), None, None, {})
    try:
        prepared = documents().prepare(asked)
    except LLMServiceError as refused:
        assert refused.message
    except Refusals as refused:
        assert refused.errors
    else:
        assert 0 <= prepared.cost <= GraphqlOptions().max_cost
