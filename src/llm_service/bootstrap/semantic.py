"""The semantic cache of a process, made when the settings first ask for it."""

from dataclasses import dataclass, field

from llm_service.cache import MiniLm, SemanticCache, SemanticOptions, load_minilm
from llm_service.observability import Log
from llm_service.runtime import Clock


@dataclass(slots=True)
class SemanticHome:
    """Keeps the semantic cache, with what it has learned, from one generation of the settings to the next."""

    clock: Clock
    log: Log
    cache: SemanticCache | None = field(default=None, init=False)

    def under(self, options: SemanticOptions) -> SemanticCache | None:
        """The semantic cache under these settings; ``None``, and nothing remembered, where it is off."""
        if not options.enabled:
            self.close()
        elif self.cache is None:
            self.cache = SemanticCache(
                options, load=load_minilm, dimensions=MiniLm.dimensions, clock=self.clock, report=self._on_failure
            )
        else:
            self.cache.options = options
        return self.cache

    def close(self) -> None:
        """Forget everything."""
        if self.cache is not None:
            self.cache.close()
            self.cache = None

    def _on_failure(self, failure: Exception) -> None:
        self.log.error("the embedding model cannot be loaded; the semantic cache gives nothing", cause=repr(failure))
