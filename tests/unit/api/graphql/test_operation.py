"""One operation that is left, or cut off, while its task has to go on for others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_service.api.graphql.documents import Asked
from llm_service.api.graphql.failures import Told
from llm_service.api.graphql.operation import Operation
from llm_service.api.serving import Serving
from llm_service.domain import Draining, Inbox, KeyRevoked, LLMServiceError
from llm_service.streams import Stream
from tests.support.waiting import until

ASKED = Asked("{ me { keyId } }", None, None, {})
CONTEXT: Any = SimpleNamespace(
    request_id="req_1",
    calls=SimpleNamespace(tasks=SimpleNamespace(spawn=lambda work, name: asyncio.create_task(work, name=name))),
)
REVOKED = KeyRevoked("The api key was revoked.")
DRAINING = Draining("The service is shutting down.", retry_after_s=1.0)


STREAM = Stream(id="str_1", request_id="req_1", owner="k", include_usage=False)


class Client:
    """Remembers what a client is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def next(self, result: dict[str, Any]) -> None:
        self.told.append(result)

    async def failed(self, errors: Sequence[Told]) -> None:
        self.told.append([error["extensions"]["code"] for error in errors])

    async def complete(self) -> None:
        self.told.append("complete")


class Answers:
    """An engine whose one field waits, and whose task others want when its client has gone."""

    def __init__(self, operation: Operation, *, kind: str = "mutation") -> None:
        self.may_end = asyncio.Event()
        self.waits = False
        self.cancelled = False
        self._operation = operation
        self._kind = kind

    def prepare(self, asked: Asked, *, request_id: str) -> Any:
        return SimpleNamespace(kind=SimpleNamespace(value=self._kind))

    async def execute(self, prepared: Any, context: Any) -> dict[str, Any]:
        watch = self._operation.over(cast("asyncio.Task[None]", asyncio.current_task()), lambda task: True)
        self.waits = True
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            watch.stop()
        return {"data": "the answer"}

    async def subscribe(self, prepared: Any, context: Any) -> AsyncIterator[dict[str, Any]]:
        self._operation.reads(Inbox(), STREAM)
        yield await self.execute(prepared, context)


class Case:
    def __init__(self, *, kind: str = "mutation") -> None:
        serving: Any = Serving(cast("Any", None))
        self.operation = Operation(serving)
        self.outlet = Client()
        self.engine: Any = Answers(self.operation, kind=kind)
        self.task = asyncio.create_task(self.operation.run(self.engine, ASKED, CONTEXT, self.outlet))
        self.operation.begin(self.task)


async def waiting_case() -> Case:
    case = Case()
    await until(lambda: case.engine.waits)
    return case


async def test_an_error_is_told_at_once_and_nothing_after_it() -> None:
    case = await waiting_case()
    case.operation.cut(REVOKED)
    await until(lambda: case.outlet.told)
    assert not case.task.done()
    case.engine.may_end.set()
    await case.task
    assert case.outlet.told == [["key_revoked"]]


@pytest.mark.parametrize("first", [None, REVOKED])
async def test_a_shutdown_ends_it_also_for_others(first: LLMServiceError | None) -> None:
    case = await waiting_case()
    if first is not None:
        case.operation.cut(first)
        await until(lambda: case.outlet.told)
    case.operation.cut(DRAINING)
    await case.task
    assert case.engine.cancelled
    assert case.outlet.told == [["draining" if first is None else first.code]]


async def test_a_shutdown_ends_it_whose_client_has_left() -> None:
    case = await waiting_case()
    case.operation.leave()
    assert not case.task.done()
    case.operation.cut(DRAINING)
    await asyncio.wait((case.task,))
    assert case.engine.cancelled
    assert case.outlet.told == []


async def test_a_last_result_that_comes_after_the_error_is_not_sent() -> None:
    case = Case(kind="subscription")
    await until(lambda: case.engine.waits)
    case.operation.cut(REVOKED)
    case.engine.may_end.set()
    await case.task
    assert case.outlet.told == [["key_revoked"]]
