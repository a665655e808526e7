"""One error of every class that has a code of its own."""

from collections.abc import Iterator

from llm_service import domain
from llm_service.domain import LLMServiceError

IN_STREAMS_ONLY = (domain.StreamInterrupted, domain.StreamCancelled, domain.KeyRevoked)


def classes(root: type[LLMServiceError] = LLMServiceError) -> Iterator[type[LLMServiceError]]:
    """The tree, from its root down, without what tests have added to it."""
    if root.__module__ == LLMServiceError.__module__:
        yield root
        for below in root.__subclasses__():
            yield from classes(below)


def error_of(kind: type[LLMServiceError]) -> LLMServiceError:
    if kind is domain.MethodNotAllowed:
        return domain.MethodNotAllowed("No.", allowed=("GET", "HEAD"))
    return kind("No.")


def coded_errors(*, in_streams_only: bool | None = None) -> list[LLMServiceError]:
    kinds = [kind for kind in classes() if "code" in vars(kind) and kind is not LLMServiceError]
    if in_streams_only is not None:
        kinds = [kind for kind in kinds if (kind in IN_STREAMS_ONLY) == in_streams_only]
    return [error_of(kind) for kind in kinds]
