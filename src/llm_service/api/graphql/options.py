"""Settings of the GraphQL door."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from llm_service.domain import Bounds, Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphqlOptions:
    """What may be asked through ``/graphql``, and how much at once."""

    enabled: Annotated[bool, Doc("Whether there is a GraphQL interface at `/graphql`.")] = True
    introspection: Annotated[
        bool, Doc("Whether clients may ask for the schema. Without it errors suggest no names either.")
    ] = True
    playground: Annotated[bool, Doc("Whether browsers get GraphiQL at `/graphql`.")] = True
    max_depth: Annotated[
        int, Bounds(at_least=1, at_most=50), Doc("Most levels of fields in a document, fragments included.")
    ] = 12
    max_aliases: Annotated[
        int, Bounds(at_least=0, at_most=1000), Doc("Most aliases in a document, each time a fragment is used.")
    ] = 30
    max_tokens: Annotated[
        int, Bounds(at_least=10, at_most=10_000), Doc("Most words and signs in a document; a string counts as one.")
    ] = 1000
    max_document_bytes: Annotated[
        int,
        Bounds(at_least=100, at_most=1024**2),
        Doc("Largest document. Long texts belong into variables, which `server.max_body_bytes` bounds."),
    ] = 64 * 1024
    max_batch: Annotated[
        int, Bounds(at_least=1, at_most=100), Doc("Most operations in one HTTP request; with 1 there are no batches.")
    ] = 10
    max_cost: Annotated[
        int, Bounds(at_least=1), Doc("Most that the operations of a request may cost together; see docs/graphql.md.")
    ] = 5000
    max_subscriptions_per_socket: Annotated[
        int, Bounds(at_least=1, at_most=150), Doc("Most operations that run on one WebSocket at once.")
    ] = 100
    trusted_documents: Annotated[
        Path | None,
        Doc("Folder of `.graphql` files, or a JSON file of documents by id, that clients may name in place of a text."),
    ] = None
    trusted_only: Annotated[bool, Doc("Take nothing but the trusted documents.")] = False
