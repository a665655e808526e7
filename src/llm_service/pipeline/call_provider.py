"""The end of the row: the provider of the candidate that had room is called."""

from collections.abc import Mapping

from llm_service.domain import NoDeploymentAvailable, Reply
from llm_service.pipeline.base import Exchange
from llm_service.providers import Provider, UpstreamCall
from llm_service.runtime import Clock


class CallProvider:
    """Sends the exchange to the provider of its candidate."""

    def __init__(self, providers: Mapping[str, Provider], clock: Clock) -> None:
        self._providers = providers
        self._clock = clock

    async def __call__(self, exchange: Exchange) -> Reply:
        """The provider's reply, at its first content."""
        candidate = exchange.candidate
        provider = self._providers.get(candidate.provider)
        if provider is None:
            raise NoDeploymentAvailable(f"The provider `{candidate.provider}` is switched off.")
        left_s = None if exchange.deadline is None else exchange.deadline - self._clock.monotonic()
        call = UpstreamCall(
            request=exchange.request,
            candidate=candidate,
            deadline_s=left_s,
            request_id=exchange.id,
            output_cap=exchange.admitted.cap,
        )
        reply = await provider.chat(call)
        exchange.head_at = self._clock.monotonic()
        return reply
