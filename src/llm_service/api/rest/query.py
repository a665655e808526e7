"""What may stand in the query of an address, and nothing else."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from llm_service.domain import InvalidRequest, InvalidValue
from llm_service.services import unknown_name


def query_of(request: Request, *, known: Sequence[str]) -> Mapping[str, str]:
    """The query's parameters by name. Raises InvalidRequest for one that comes twice, InvalidValue for an unknown."""
    given: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name not in known:
            raise unknown_name(name, known)
        if name in given:
            raise InvalidRequest(f"'{name}' may come only once.", param=name)
        if not text:
            raise InvalidValue(f"'{name}' is empty.", param=name)
        given[name] = text
    return given
