"""Executes prepared operations, and turns what comes of them into what clients are told."""

from collections.abc import AsyncGenerator, Sequence
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import ExecutionResult, GraphQLError, execute, subscribe

from llm_service.api.graphql.context import Context
from llm_service.api.graphql.documents import Asked, Documents, Prepared, Refusals
from llm_service.api.graphql.failures import Told, failure_of, left, told, told_of, words_of
from llm_service.api.graphql.schema import core_of
from llm_service.api.http_request import HungUp
from llm_service.domain import InvalidDocument, LLMServiceError
from llm_service.observability import Log


class Refused(Exception):
    """An operation that is not executed: what its client is told, and the error that decides the status."""

    def __init__(self, errors: Sequence[Told], error: LLMServiceError) -> None:
        super().__init__(error.message)
        self.errors = errors
        self.error = error


class Engine:
    """``prepare`` says what may be executed; the rest raises HungUp where the client has left, and nothing else."""

    def __init__(self, schema: strawberry.Schema, documents: Documents, log: Log, *, suggests: bool) -> None:
        self._schema = core_of(schema)
        self._executor = schema.execution_context_class
        self._documents = documents
        self._log = log
        self._hides = not suggests

    def prepare(self, asked: Asked, *, request_id: str) -> Prepared:
        """The operation. Raises Refused."""
        try:
            return self._documents.prepare(asked)
        except LLMServiceError as error:
            raise Refused([told(error, request_id=request_id)], error) from None
        except Refusals as refusals:
            invalid = [_invalid(error, request_id) for error in refusals.errors]
            raise Refused(invalid, InvalidDocument("The document is not valid.")) from None

    async def execute(self, prepared: Prepared, context: Context) -> dict[str, Any]:
        """The response to a query or a mutation. Without ``data`` it was not executed: its variables are wrong."""
        result = execute(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=dict(prepared.variables),
            operation_name=prepared.operation_name,
            executor_class=self._executor,
            hide_suggestions=self._hides,
        )
        return self._response(await result if isawaitable(result) else result, prepared, context)

    async def subscribe(self, prepared: Prepared, context: Context) -> AsyncGenerator[dict[str, Any], None]:
        """The responses of a subscription. Raises what ends it before its end; ``failed`` says what to tell of that."""
        source = subscribe(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=dict(prepared.variables),
            operation_name=prepared.operation_name,
            executor_class=self._executor,
            hide_suggestions=self._hides,
        )
        if isawaitable(source):
            source = await source
        if isinstance(source, ExecutionResult):
            raise Refused(self._response(source, prepared, context)["errors"], InvalidDocument("It was not begun."))
        events = cast("Any", source)
        try:
            async for result in events:
                yield self._response(result, prepared, context)
        finally:
            await events.aclose()

    def failed(self, cause: BaseException, context: Context) -> Sequence[Told]:
        """What clients are told of what ended a subscription; defects go into the log."""
        if isinstance(cause, Refused):
            return cause.errors
        failure, request_id = failure_of(cause, request_id=context.request_id, log=self._log)
        return [told(failure, request_id=request_id)]

    def _response(self, result: ExecutionResult, prepared: Prepared, context: Context) -> dict[str, Any]:
        errors = result.errors
        if not errors:
            return {"data": result.data}
        try:
            if left(errors):
                raise HungUp
            said = told_of(errors, given=prepared.variables, request_id=context.request_id, log=self._log)
        finally:
            _let_go(errors)
        begun = any(error.path is not None for error in errors) or result.data is not None
        return {"errors": said, "data": result.data} if begun else {"errors": said}


def _let_go(errors: Sequence[GraphQLError]) -> None:
    """Of the frames in their tracebacks: those of the library hold the errors, and all of the operation with them."""
    for error in errors:
        error.__traceback__ = None
        if error.original_error is not None:
            error.original_error.__traceback__ = None


def _invalid(error: GraphQLError, request_id: str) -> Told:
    said = told(InvalidDocument(words_of(error), param="query"), request_id=request_id)
    if error.locations:
        said["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    return said
