"""The GraphQL door as it stands once it is built; importing this imports GraphQL's libraries."""

from llm_service.api.graphql.documents import Documents
from llm_service.api.graphql.engine import Engine
from llm_service.api.graphql.http import HttpDoor
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.graphql.revocation import Operations
from llm_service.api.graphql.schema import build_schema
from llm_service.api.graphql.socket import GraphqlSocket
from llm_service.api.graphql.trusted import TrustedDocuments
from llm_service.api.http_request import Receive, Scope, Send


class GraphqlSite:
    """Answers requests and WebSockets."""

    def __init__(self, parts: GraphqlParts, trusted: TrustedDocuments) -> None:
        """Takes some 0.1 s."""
        options = parts.options
        schema = build_schema()
        documents = Documents(schema, options, trusted)
        self._parts = parts
        self._engine = Engine(schema, documents, parts.log, suggests=options.introspection)
        self._operations = Operations(parts.authenticator)
        self._http = HttpDoor(parts, self._engine, self._operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""
        if scope["type"] == "websocket":
            await GraphqlSocket(self._parts, self._engine, self._operations, scope, send).serve(receive)
        else:
            await self._http.serve(scope, receive, send)
