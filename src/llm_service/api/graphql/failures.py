"""Errors as GraphQL tells them: the code of REST, and everything else that REST says, in ``extensions``."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

from llm_service.api.errors import extensions_of
from llm_service.api.http_request import HungUp
from llm_service.domain import InternalError, InvalidValue, LLMServiceError, quotes
from llm_service.observability import Log

Told = dict[str, Any]
DEFECT = "The service failed on this request; its log has the details under the request id."
UNNAMED: Final = "A value at this place is not one that can stand there."
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_VALUE: Final = re.compile(
    r"""(?: ,?\ found: | \ value: | ,?\ found\ (?:Block)?String\ ['"] | (?<=string): ) .*""", re.DOTALL | re.VERBOSE
)
"""From where on the library's sentences repeat a value."""
_NO_WORD: Final = re.compile(r"\bValue '(?!\w{1,64}').*?' does not", re.DOTALL)
_TEXT: Final = re.compile(r'"""(.*?)"""|"((?:[^"\\\n]|\\.)*)"?', re.DOTALL)


class Failed(Exception):
    """A request to a model failed that has an id of its own."""

    def __init__(self, error: LLMServiceError, request_id: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.request_id = request_id


def told(error: LLMServiceError, *, request_id: str) -> Told:
    """An error that belongs to no field."""
    return {"message": error.message, "extensions": extensions_of(error, request_id=request_id)}


def told_of(errors: Sequence[GraphQLError], *, given: Mapping[str, Any], request_id: str, log: Log) -> list[Told]:
    """Errors of the fields of one operation; defects go into the log, once each, and clients learn nothing of them.

    ``given``: its variables, which no error repeats.
    """
    return [_told_of_field(error, given, request_id=request_id, log=log) for error in errors]


def words_of(error: GraphQLError, given: Mapping[str, Any] = NOTHING) -> str:
    """What an error says without the values that it is about: variables, and texts of the document."""
    said = _NO_WORD.sub("The value does not", _VALUE.sub(".", error.message))
    document = "" if error.source is None else error.source.body
    texts = [found[1] or found[2] for found in _TEXT.finditer(document)] if '"' in document else []
    return UNNAMED if quotes(said, [texts, given]) else said


def left(errors: Sequence[GraphQLError] | None) -> bool:
    """Whether the client has left: nobody is there to be told."""
    return any(isinstance(error.original_error, HungUp) for error in errors or ())


def failure_of(cause: BaseException, *, request_id: str, log: Log) -> tuple[LLMServiceError, str]:
    """What clients may know of an exception, and under which request id."""
    if isinstance(cause, Failed):
        return cause.error, cause.request_id
    if isinstance(cause, LLMServiceError):
        return cause, request_id
    if isinstance(cause, GraphQLError) and cause.original_error is not None:
        return failure_of(cause.original_error, request_id=request_id, log=log)
    log.error("defect", request_id=request_id, exc_info=cause)
    return InternalError(DEFECT), request_id


def _told_of_field(error: GraphQLError, given: Mapping[str, Any], *, request_id: str, log: Log) -> Told:
    if _is_callers(error):
        failure: LLMServiceError = InvalidValue(words_of(error, given))
    else:
        failure, request_id = failure_of(error.original_error or error, request_id=request_id, log=log)
    said = told(failure, request_id=request_id)
    if error.locations:
        said["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        said["path"] = error.path
    return said


def _is_callers(error: GraphQLError) -> bool:
    """Whether it is about variables or arguments; what is about results names no place in the document by itself."""
    cause = error.original_error
    if isinstance(cause, StrawberryInputCoercionError):
        return True
    if isinstance(cause, GraphQLError):
        return error.path is None or bool(cause.nodes)
    return cause is None
