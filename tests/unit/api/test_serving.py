import asyncio

import pytest

from llm_service.api import Serving
from llm_service.domain import Draining, LLMServiceError
from llm_service.streams import Streams
from tests.support.clock import ManualClock


class Writer:
    def __init__(self, *, opened: bool) -> None:
        self.opened = opened
        self.errors: list[LLMServiceError] = []

    def cut(self, error: LLMServiceError) -> None:
        self.errors.append(error)

    async def written(self) -> None:
        return


@pytest.fixture
def serving() -> Serving:
    return Serving(Streams(ManualClock(), retention_s=60, total_bytes=1_000_000))


async def endless() -> None:
    await asyncio.Event().wait()


async def test_what_has_begun_to_answer_is_cut_and_the_rest_is_cancelled(serving: Serving) -> None:
    silent, opened, unopened = (asyncio.ensure_future(endless()) for _ in range(3))
    for task in (silent, opened, unopened):
        serving.begin(task)
    begun, not_begun = Writer(opened=True), Writer(opened=False)
    serving.writes(opened, begun)
    serving.writes(unopened, not_begun)
    await serving.drain(0, hurried=asyncio.Event())
    await asyncio.wait({silent, unopened})
    assert (silent.cancelled(), unopened.cancelled(), opened.done()) == (True, True, False)
    assert [type(error) for error in begun.errors] == [Draining]
    assert not not_begun.errors
    opened.cancel()


async def test_who_is_answered_is_not_waited_for(serving: Serving) -> None:
    task = asyncio.ensure_future(endless())
    serving.begin(task)
    serving.end(task)
    await serving.drain(3600, hurried=asyncio.Event())
    task.cancel()


async def test_a_shutdown_asks_the_connections_that_stand_to_end_once_they_are_idle(serving: Serving) -> None:
    retired: list[str] = []

    def stays() -> None:
        retired.append("stays")

    def goes() -> None:
        retired.append("goes")

    serving.stands(stays)
    serving.stands(goes)
    serving.fell(goes)
    await serving.drain(0, hurried=asyncio.Event())
    assert retired == ["stays"]


async def test_what_is_awaited_when_the_grace_ends_raises_why(serving: Serving) -> None:
    task = asyncio.ensure_future(serving.before_the_end(asyncio.Event().wait()))
    await asyncio.sleep(0)
    serving.begin(task)  # type: ignore[arg-type]
    await serving.drain(0, hurried=asyncio.Event())
    with pytest.raises(Draining):
        await task


async def test_connections_that_stand_are_asked_to_end_and_new_ones_can_know(serving: Serving) -> None:
    asked: list[str] = []
    serving.stands(lambda: asked.append("stays"))

    def gone() -> None:
        asked.append("gone")

    serving.stands(gone)
    serving.fell(gone)
    assert not serving.retired
    serving.retire()
    assert (asked, serving.retired) == (["stays"], True)
