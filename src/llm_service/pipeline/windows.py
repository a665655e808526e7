"""Whether a prompt fits: the service's own bound, and the context of the models that may be called.

Counting is dear, so that bytes decide where they can: a token stands for at least one. What is refused surely does not
fit; what may fit is the provider's to judge.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Literal

from llm_service.admission import LEAST_CAP, asked_cap
from llm_service.domain import Candidate, ContextLengthExceeded, ModelInfo, ModelRequest
from llm_service.pipeline.base import Exchange
from llm_service.routing import Way, named, window
from llm_service.tokens import PromptSize

SHORTENED_CONTEXT: Final = 8192
"""Prompts for models with no more context than this are shortened by OpenRouter, unless it is told not to."""
_SHORTENING: Final = ("transforms", "plugins")
"""Fields with which OpenRouter is asked to shorten a prompt."""

Known = Callable[[str, str], ModelInfo | None]
SizePrompt = Callable[[ModelRequest, Candidate, int], Awaitable[PromptSize]]


class Windows:
    """Refuses what is too long for everybody.

    ``most_input``: tokens that any prompt may have. ``known``: what a provider's catalogue said of a model. ``size``:
    of a prompt at a deployment; with how many tokens it may stop reading.
    """

    def __init__(
        self,
        *,
        most_input: int | None,
        overflow: Literal["refuse", "clamp", "pass"],
        known: Known,
        size: SizePrompt,
    ) -> None:
        self._most_input = most_input
        self._overflow = overflow
        self._known = known
        self._size = size

    def surely_hold(self, exchange: Exchange) -> bool:
        """Whether the prompt fits everywhere, by its length in bytes."""
        request = exchange.request
        if self._most_input is not None and request.body_bytes > self._most_input:
            return False
        if self._overflow == "pass":
            return True
        least: int | None = None
        for way in exchange.route.ways:
            candidate = way.candidate
            context = window(way, self._known(candidate.provider, candidate.upstream_model))
            if context is not None and (least is None or context < least):
                least = context
        return least is None or request.body_bytes + _output_tokens(request) <= least

    async def check(self, exchange: Exchange) -> None:
        """Raises ContextLengthExceeded; or lowers the cap of the answer, where that is enough and wanted."""
        request = exchange.request
        if self._most_input is not None and request.body_bytes > self._most_input:
            size = await self._size(request, exchange.candidates[0], self._most_input)
            if size.least > self._most_input:
                raise ContextLengthExceeded(
                    f"The prompt has about {size.about:,} tokens, and this service takes at most {self._most_input:,} "
                    "(limits.max_input_tokens).",
                    param=_PROMPTS[request.operation],
                )
        if self._overflow != "pass":
            await self._check_contexts(exchange)

    async def _check_contexts(self, exchange: Exchange) -> None:
        request, output = exchange.request, _output_tokens(exchange.request)
        contexts = [(way, context) for way, context in self._contexts(exchange)]
        if not contexts or any(context is None for _, context in contexts):
            return
        way, context = max(contexts, key=lambda one: one[1] or 0)
        if context is None or request.body_bytes + output <= context:
            return
        size = await self._size(request, way.candidate, context)
        if size.least + output <= context:
            return
        room = context - size.most
        if self._overflow == "clamp" and room >= min(LEAST_CAP, output) > 0:
            exchange.output_cap = room
            return
        raise ContextLengthExceeded(_too_long(way, context, size, output), param=_PROMPTS[request.operation])

    def _contexts(self, exchange: Exchange) -> Iterator[tuple[Way, int | None]]:
        """The context of each deployment that may be called for this prompt, as far as it is sure."""
        route, body = exchange.route, exchange.request.body
        if (exchange.request.models and not route.is_ours) or any(body.get(name) for name in _SHORTENING):
            return
        for group in route.groups:
            if group.trigger == "content":
                continue
            for way in group.ways:
                candidate = way.candidate
                context = window(way, self._known(candidate.provider, candidate.upstream_model))
                if way.context_tokens is None and context is not None and context <= SHORTENED_CONTEXT:
                    context = None
                yield way, context


def _output_tokens(request: ModelRequest) -> int:
    """The cap that the request sets on one answer; 0 where it sets none."""
    return 0 if request.operation == "embedding" else asked_cap(request) or 0


def _too_long(way: Way, context: int, size: PromptSize, output: int) -> str:
    said = f"The prompt has about {size.about:,} tokens"
    if output:
        said += f", {output:,} more are asked for as an answer"
    return f"{said}; the context of `{named(way.candidate)}` holds {context:,}."


_PROMPTS: Final = {"chat": "messages", "completion": "prompt", "embedding": "input"}
