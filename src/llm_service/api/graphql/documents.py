"""From a request to a document that may be executed: bounded, parsed, measured, validated, in this order."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import recommended_rules

from llm_service.api.graphql.complexity import cost_in
from llm_service.api.graphql.failures import words_of
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.graphql.schema import core_of
from llm_service.api.graphql.trusted import TrustedDocuments
from llm_service.domain import Body, DocumentTooComplex, InvalidDocument, InvalidJson, InvalidValue

MAX_ERRORS: Final = 5
MAX_COMMENTS: Final = 1000
KEPT_CHARS: Final = 256 * 1024
"""How much text the documents have that stay parsed; trees of nodes take some thirty times as much."""
MAX_VALUES: Final = 10_000
"""How many values the variables of a request have, at every level: 100,000 messages took 7 s to be refused."""
MEMBERS: Final = ("query", "operationName", "variables", "extensions", "documentId")


class Asked(NamedTuple):
    """One operation as a client asks for it."""

    query: str | None
    named: str | None
    operation_name: str | None
    variables: Mapping[str, Any]


class Prepared(NamedTuple):
    """One operation that may be executed; ``kind``: query, mutation or subscription."""

    document: DocumentNode
    operation: OperationDefinitionNode
    operation_name: str | None
    variables: Mapping[str, Any]
    cost: int

    @property
    def kind(self) -> OperationType:
        """What it is."""
        return self.operation.operation


class Refusals(Exception):
    """A document is not valid, for several reasons."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("not valid")
        self.errors = errors


def asked_in(body: Body) -> Asked:
    """What the members of a request say. Raises InvalidValue."""
    for name in ("query", "operationName", "documentId"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise InvalidValue(f"'{name}' must be a string.", param=name)
    for name in ("variables", "extensions"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise InvalidValue(f"'{name}' must be an object.", param=name)
    persisted = (body.get("extensions") or {}).get("persistedQuery")
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    named = body.get("documentId") or (digest if isinstance(digest, str) else None)
    return Asked(body.get("query"), named, body.get("operationName"), body.get("variables") or {})


def asked_of_json(value: object) -> Asked:
    """What a decoded request says. Raises InvalidJson and InvalidValue."""
    if not isinstance(value, dict):
        raise InvalidJson("A GraphQL request is a JSON object with 'query'.")
    return asked_in(value)


def check_values(variables: Iterable[Mapping[str, Any]]) -> None:
    """Raises DocumentTooComplex where variables have more values than a request may.

    Variables are given their types before any field asks for a scope, and all at once.
    """
    found, waiting = 0, list[object](variables)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            value = value.values()
        elif not isinstance(value, list):
            continue
        found += len(value)
        if found > MAX_VALUES:
            raise DocumentTooComplex(f"The variables have more than {MAX_VALUES:,} values.")
        waiting.extend(value)


class Documents:
    """Keeps documents that were valid, up to a bound."""

    def __init__(self, schema: strawberry.Schema, options: GraphqlOptions, trusted: TrustedDocuments) -> None:
        self._schema = core_of(schema)
        self._options = options
        self._trusted = trusted
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()
        self._kept_chars = 0
        others = () if options.introspection else (NoSchemaIntrospectionCustomRule,)
        self._rules = [*specified_rules, *recommended_rules, *others]

    def prepare(self, asked: Asked) -> Prepared:
        """The operation. Raises InvalidDocument, DocumentTooComplex, InvalidValue, and Refusals."""
        check_values([asked.variables])
        text = self._trusted.text(asked.query, asked.named)
        kept = self._kept.get(text)
        document = self._parsed(text) if kept is None else kept
        cost = cost_in(document, self._schema, self._options, asked.variables)
        if cost > self._options.max_cost:
            raise DocumentTooComplex(
                f"The operation costs {cost}, more than the {self._options.max_cost} that one may."
            )
        if kept is None:
            self._validate(document)
            self._keep(text, document)
        else:
            self._kept.move_to_end(text)
        operation = get_operation_ast(document, asked.operation_name)
        if operation is None:
            said = (
                "There is no such operation in the document." if asked.operation_name else "Name one of the operations."
            )
            raise InvalidDocument(said, param="operationName")
        return Prepared(document, operation, asked.operation_name, asked.variables, cost)

    def _parsed(self, text: str) -> DocumentNode:
        most = self._options.max_document_bytes
        if len(text) > most or len(text.encode("utf-8", "surrogatepass")) > most:
            raise DocumentTooComplex(f"The document is larger than {most} bytes; what is long belongs into variables.")
        try:
            return parse(text, max_lexical_tokens=self._options.max_tokens, max_comments=MAX_COMMENTS)
        except GraphQLError as error:
            raise _unparsed(error, self._options.max_tokens) from None

    def _validate(self, document: DocumentNode) -> None:
        hidden = not self._options.introspection
        errors = validate(self._schema, document, self._rules, max_errors=MAX_ERRORS, hide_suggestions=hidden)
        if errors:
            raise Refusals(errors)

    def _keep(self, text: str, document: DocumentNode) -> None:
        self._kept[text] = document
        self._kept_chars += len(text)
        while self._kept_chars > KEPT_CHARS:
            self._kept_chars -= len(self._kept.popitem(last=False)[0])


def _unparsed(error: GraphQLError, most_tokens: int) -> InvalidDocument | DocumentTooComplex:
    """Why a document was not parsed: it is too much, or it is wrong at a place."""
    said = error.message.removeprefix("Syntax Error: ")
    if said.startswith("Document ") and said.endswith(" Parsing aborted."):  # other messages quote the client
        if "tokens" in said:
            return DocumentTooComplex(f"The document has more than {most_tokens} words and signs.")
        return DocumentTooComplex("The document is nested too deeply, or has too many comments.")
    place = f" (line {error.locations[0].line}, column {error.locations[0].column})" if error.locations else ""
    return InvalidDocument(f"{words_of(error)}{place}", param="query")
