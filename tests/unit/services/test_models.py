"""What a provider's catalogue said of a model, without asking again."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_service.domain import ModelInfo
from llm_service.services.models import LARGE_BYTES
from tests.support.clock import ManualClock
from tests.support.control import Catalogue, models_of
from tests.support.provider_service import Desk, ScriptedProvider
from tests.support.waiting import until

INFO = ModelInfo(id="a/b", owned_by="a")


async def test_nothing_is_told_before_somebody_has_asked_the_provider() -> None:
    models = models_of({"openrouter": Catalogue([INFO])}, ManualClock())
    assert models.told("openrouter", "a/b") is None


async def test_what_was_said_last_is_told_without_asking_again() -> None:
    catalogue = Catalogue([INFO])
    models = models_of({"openrouter": catalogue}, ManualClock())
    await models.list()
    assert models.told("openrouter", "a/b") is INFO
    assert [models.told("openrouter", "a/c"), models.told("elsewhere", "a/b")] == [None, None]
    assert catalogue.asked == 1


async def test_nobody_waits_for_a_provider_whose_catalogue_is_known() -> None:
    catalogue = Silent([INFO])
    models = models_of({"openrouter": catalogue}, ManualClock())
    catalogue.answers.set()
    await models.list()
    catalogue.answers.clear()
    refreshing = asyncio.create_task(models.refresh("openrouter"))
    await until(lambda: catalogue.asked == 2)
    async with asyncio.timeout(5):
        assert [entry.info.id for entry in await models.list()] == ["openrouter/a/b"]
    catalogue.answers.set()
    assert await refreshing is None


@dataclass
class Silent(Catalogue):
    """A provider that answers when it may."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def catalogue(self) -> bytes:
        said = await super().catalogue()
        await self.answers.wait()
        return said


async def test_a_large_catalogue_is_read_in_a_thread_also_where_a_provider_is_tried() -> None:
    large = Large("one")
    desk = Desk(large)
    await desk.models.refresh("one")
    assert (await desk.admin.test("one"))["models"] == 1
    assert large.read_by == [False, False]


@dataclass
class Large(ScriptedProvider):
    """A provider whose catalogue takes a while to read; who has read it, on the main thread or not."""

    read_by: list[bool] = field(default_factory=list)

    async def catalogue(self) -> bytes:
        return b" " * (LARGE_BYTES + 1)

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        self.read_by.append(threading.current_thread() is threading.main_thread())
        return super().models(catalogue)
