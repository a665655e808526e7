"""The models that can be asked for: the operator's own names, and every provider's catalogue."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from llm_service.domain import (
    Candidate,
    LLMServiceError,
    ModelInfo,
    ModelNotFound,
    Price,
    ProviderState,
    UpstreamInvalidResponse,
    fact,
    fact_in_order,
)
from llm_service.observability import Log
from llm_service.prices import Origin, PriceBook
from llm_service.providers import Provider
from llm_service.routing import ModelOptions
from llm_service.runtime import Clock
from llm_service.services.catalogue_shelf import CatalogueShelf, KeptCatalogue

FAILED_S: Final = 30.0
LARGE_BYTES: Final = 64 * 1024
"""A catalogue beyond this is read in a thread: OpenRouter's takes tens of milliseconds."""


@fact_in_order
class ModelEntry:
    """One model as callers name it (``info.id``), and who serves it; ``None``: a name of the operator's.

    ``behind``: what is asked for it, first. ``charge``: what a request is charged that begins now; ``None``: not known.
    """

    info: ModelInfo
    provider: str | None
    behind: Candidate
    charge: "ChargedPrice | None" = None


@fact
class ChargedPrice:
    """A price, who says so, and as of which day where that is the table."""

    price: Price
    origin: Origin
    stated_on: date | None


class PricedModels:
    """The same models, with what requests to them are charged, and what the table knows beside the catalogues."""

    def __init__(self, models: "Models", book: PriceBook, clock: Clock) -> None:
        self._models = models
        self._book = book
        self._clock = clock

    async def list(self) -> Sequence[ModelEntry]:
        """All models that are served now, the operator's own names first."""
        return [self._priced(entry) for entry in await self._models.list()]

    async def get(self, model: str) -> ModelEntry:
        """One model by the name that callers use, aliases among them. Raises ModelNotFound."""
        return self._priced(await self._models.get(model))

    def _priced(self, entry: ModelEntry) -> ModelEntry:
        info, behind = entry.info, (entry.behind.provider, entry.behind.upstream_model)
        if info.context_tokens is None:
            info = replace(info, context_tokens=self._book.context_tokens(*behind))
        known = self._book.price(*behind)
        if known is None:
            return replace(entry, info=info)
        charge = ChargedPrice(price=known.at(self._clock.now()), origin=known.origin, stated_on=known.stated_on)
        return replace(entry, info=info, charge=charge)


@fact_in_order
class _Catalogue:
    """What a provider last said, by the models' ids there.

    ``told_at``: when it was said (Unix seconds), ``None`` where nothing was: then ``ask_at`` is when to ask again
    (monotonic seconds). ``error``: why it could not be asked.
    """

    models: Mapping[str, ModelInfo]
    told_at: float | None
    ask_at: float = 0.0
    error: LLMServiceError | None = None


class Models:
    """Lists models. A catalogue that is known is shown, also that of an earlier run, from the ``shelf``, and nobody
    waits for its provider: whoever calls ``refresh`` from time to time keeps it new. Only one that is not known is
    asked for. Providers that get no new requests have no models here: ``state_of``.

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
        state_of: Callable[[str], ProviderState] = lambda name: "enabled",
        shelf: CatalogueShelf | None = None,
    ) -> None:
        self._providers = providers
        self._named = named
        self._aliases = {name: one for name, one in aliases.items() if one.provider in providers}
        self._clock = clock
        self._log = log
        self._state_of = state_of
        self._shelf = shelf
        self._catalogues: dict[str, _Catalogue] = {}
        self._locks = {name: asyncio.Lock() for name in providers}

    async def list(self) -> Sequence[ModelEntry]:
        """All models that are served now, the operator's own names first."""
        serving = [name for name in self._providers if self._state_of(name) == "enabled"]
        catalogues = await asyncio.gather(*(self._catalogue(name) for name in serving))
        named = [self._named_entry(name) for name in self._named if self._is_served(name)]
        return [*named, *(entry for catalogue in catalogues for entry in catalogue)]

    async def get(self, model: str) -> ModelEntry:
        """One model by the name that callers use, aliases among them. Raises ModelNotFound."""
        for entry in await self.list():
            if entry.info.id == model:
                return entry
        behind = self._aliases.get(model)
        if behind is not None and self._state_of(behind.provider) == "enabled":
            return ModelEntry(self._renamed(model, behind, owner=behind.provider), behind.provider, behind)
        raise ModelNotFound(f"The model `{model[:200]}` does not exist; GET /v1/models lists the names.", param="model")

    async def refresh(self, provider: str) -> LLMServiceError | None:
        """Ask a provider for its catalogue; why it could not be had, if so. Then the copy on disk serves, if any."""
        async with self._locks[provider]:
            known = self._catalogues.get(provider) or await self._from_shelf(provider)
            if known is not None:
                self._catalogues[provider] = known  # shown until the provider has answered
            asked = self._catalogues[provider] = await self._ask(provider, known)
            return asked.error

    async def borrow(self, provider: str, *, since: float) -> bool:
        """Take the copy on disk, if it was told since then (Unix seconds): by a neighbour, to be asked only once."""
        async with self._locks[provider]:
            kept = await self._from_shelf(provider)
            if kept is None or kept.told_at is None or kept.told_at < since:
                return False
            self._catalogues[provider] = kept
            return True

    def told_at(self, provider: str) -> float | None:
        """When a provider told the catalogue that is known (Unix seconds); ``None`` while none is."""
        catalogue = self._catalogues.get(provider)
        return catalogue.told_at if catalogue else None

    def count(self, provider: str) -> int | None:
        """How many models a provider has; ``None`` while nobody knows."""
        catalogue = self._catalogues.get(provider)
        return None if catalogue is None or catalogue.told_at is None else len(catalogue.models)

    def told(self, provider: str, upstream_model: str) -> ModelInfo | None:
        """What a provider's catalogue said last of a model, at once; ``None`` while nobody has asked it to ``list``."""
        catalogue = self._catalogues.get(provider)
        return catalogue.models.get(upstream_model) if catalogue else None

    def _named_entry(self, name: str) -> ModelEntry:
        first = self._named[name].deployments[0]
        behind = Candidate(provider=first.provider, upstream_model=first.model)
        return ModelEntry(self._renamed(name, behind, owner="llm-service"), None, behind)

    def _renamed(self, name: str, behind: Candidate, *, owner: str) -> ModelInfo:
        """What is known of the model behind a name, under that name; ``owner``: where nothing is known."""
        info = self.told(behind.provider, behind.upstream_model)
        return replace(info, id=name) if info else ModelInfo(id=name, owned_by=owner)

    def _is_served(self, name: str) -> bool:
        return any(self._state_of(one.provider) == "enabled" for one in self._named[name].deployments)

    async def _catalogue(self, provider: str) -> Sequence[ModelEntry]:
        known = self._catalogues.get(provider)
        if known is None or self._is_due(known):
            async with self._locks[provider]:
                known = self._catalogues.get(provider) or await self._from_shelf(provider)
                if known is None or self._is_due(known):
                    known = await self._ask(provider, known)
                self._catalogues[provider] = known
        return [
            ModelEntry(
                replace(info, id=f"{provider}/{info.id}"),
                provider,
                Candidate(provider=provider, upstream_model=info.id),
            )
            for info in known.models.values()
        ]

    def _is_due(self, known: _Catalogue) -> bool:
        return known.told_at is None and known.ask_at <= self._clock.monotonic()

    async def _ask(self, provider: str, known: _Catalogue | None) -> _Catalogue:
        asked = self._providers[provider]
        try:
            body = await asked.catalogue()
            models = await parsed(asked, body)
        except LLMServiceError as error:
            self._log.warning("no catalogue", provider=provider, error_code=error.code, error=error.message)
            ask_at = self._clock.monotonic() + FAILED_S
            return _Catalogue(known.models if known else {}, known.told_at if known else None, ask_at, error)
        if self._shelf is not None:
            await asyncio.to_thread(self._shelf.write, provider, KeptCatalogue(body, self._clock.time()))
        return self._told(models, self._clock.time())

    async def _from_shelf(self, provider: str) -> _Catalogue | None:
        """The copy on disk, of an earlier run or a neighbour."""
        return None if self._shelf is None else await asyncio.to_thread(self._read, self._shelf, provider)

    def _read(self, shelf: CatalogueShelf, provider: str) -> _Catalogue | None:
        kept = shelf.read(provider)
        try:
            return None if kept is None else self._told(self._providers[provider].models(kept.body), kept.asked_at)
        except UpstreamInvalidResponse as error:
            self._log.warning("kept catalogue left alone", provider=provider, cause=error.message)
            return None

    @staticmethod
    def _told(models: Sequence[ModelInfo], told_at: float) -> _Catalogue:
        return _Catalogue({info.id: info for info in models}, told_at)


async def parsed(provider: Provider, catalogue: bytes) -> Sequence[ModelInfo]:
    """The models of a catalogue; a large one is read in a thread. Raises UpstreamInvalidResponse."""
    if len(catalogue) > LARGE_BYTES:
        return await asyncio.to_thread(provider.models, catalogue)
    return provider.models(catalogue)
