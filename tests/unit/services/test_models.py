"""What a provider's catalogue said of a model, without asking again."""

from llm_service.domain import ModelInfo
from tests.support.clock import ManualClock
from tests.support.control import Catalogue, models_of

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
