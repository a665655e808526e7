"""The models that can be asked for: the operator's own names, and every provider's catalogue."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llm_service.domain import Candidate, LLMServiceError, ModelInfo, ModelNotFound
from llm_service.observability import Log
from llm_service.providers import Provider
from llm_service.routing import ModelOptions
from llm_service.runtime import Clock

CATALOGUE_S: Final = 3600.0
FAILED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model as callers name it (``info.id``), and who serves it; ``None``: a name of the operator's."""

    info: ModelInfo
    provider: str | None


@dataclass(slots=True)
class _Catalogue:
    """What a provider last said, by the models' ids there, and when to ask again (monotonic seconds)."""

    models: Mapping[str, ModelInfo]
    ask_at: float


class Models:
    """Lists models. A catalogue is asked for once an hour; while a provider fails, its last one is shown.

    ``aliases``: names that no catalogue has any more and that are served all the same, with what serves them.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        named: Mapping[str, ModelOptions],
        aliases: Mapping[str, Candidate],
        clock: Clock,
        log: Log,
    ) -> None:
        self._providers = providers
        self._named = named
        self._aliases = {name: one for name, one in aliases.items() if one.provider in providers}
        self._clock = clock
        self._log = log
        self._catalogues: dict[str, _Catalogue] = {}
        self._locks = {name: asyncio.Lock() for name in providers}

    async def list(self) -> Sequence[ModelEntry]:
        """All models, the operator's own names first."""
        catalogues = await asyncio.gather(*(self._catalogue(name) for name in self._providers))
        named = [self._named_entry(name) for name in self._named]
        return [*named, *(entry for catalogue in catalogues for entry in catalogue)]

    async def get(self, model: str) -> ModelEntry:
        """One model by the name that callers use, aliases among them. Raises ModelNotFound."""
        for entry in await self.list():
            if entry.info.id == model:
                return entry
        if (behind := self._aliases.get(model)) is not None:
            return ModelEntry(self._renamed(model, behind, owner=behind.provider), behind.provider)
        raise ModelNotFound(f"The model `{model[:200]}` does not exist; GET /v1/models lists the names.", param="model")

    def told(self, provider: str, upstream_model: str) -> ModelInfo | None:
        """What a provider's catalogue said last of a model, at once; ``None`` while nobody has asked it to ``list``."""
        catalogue = self._catalogues.get(provider)
        return catalogue.models.get(upstream_model) if catalogue else None

    def _named_entry(self, name: str) -> ModelEntry:
        first = self._named[name].deployments[0]
        behind = Candidate(provider=first.provider, upstream_model=first.model)
        return ModelEntry(self._renamed(name, behind, owner="llm-service"), None)

    def _renamed(self, name: str, behind: Candidate, *, owner: str) -> ModelInfo:
        """What is known of the model behind a name, under that name; ``owner``: where nothing is known."""
        info = self.told(behind.provider, behind.upstream_model)
        return replace(info, id=name) if info else ModelInfo(id=name, owned_by=owner)

    async def _catalogue(self, provider: str) -> Sequence[ModelEntry]:
        async with self._locks[provider]:
            known = self._catalogues.get(provider)
            if known is None or known.ask_at <= self._clock.monotonic():
                known = self._catalogues[provider] = await self._ask(provider, known)
        return [ModelEntry(replace(info, id=f"{provider}/{info.id}"), provider) for info in known.models.values()]

    async def _ask(self, provider: str, known: _Catalogue | None) -> _Catalogue:
        try:
            models = await self._providers[provider].list_models()
        except LLMServiceError as error:
            self._log.warning("no catalogue", provider=provider, error_code=error.code, error=error.message)
            return _Catalogue(known.models if known else {}, self._clock.monotonic() + FAILED_S)
        return _Catalogue({info.id: info for info in models}, self._clock.monotonic() + CATALOGUE_S)
