"""Builds what asks for the filters that do not judge by themselves."""

from typing import Final

from llm_service.bootstrap.ground import Ground
from llm_service.domain import fact
from llm_service.filters import ASKING, FilterOptions
from llm_service.observability import catalog
from llm_service.pipeline import Asking, InnerGateway, Judge, ModelJudge, WebhookJudge, reporting
from llm_service.runtime import OnFailure
from llm_service.transport import HttpTransport

MOST_CONNECTIONS: Final = 64
"""To webhooks, all together; who comes then waits for one, within the time of its filter."""


@fact
class AskingParts:
    """``gateway`` is to be told of the gateway, which models are asked by. ``webhooks``: connections to these."""

    asking: Asking
    gateway: InnerGateway
    webhooks: HttpTransport | None

    async def aclose(self) -> None:
        """Close the connections."""
        if self.webhooks is not None:
            await self.webhooks.aclose()


def build_asking(ground: Ground, *, on_failure: OnFailure) -> AskingParts | None:
    """``None`` where no filter asks anybody."""
    filters = [one for one in ground.settings.filters if one.enabled and one.type in ASKING]
    if not filters:
        return None
    gateway = InnerGateway()
    webhooks = None
    if any(one.url is not None for one in filters):
        webhooks = HttpTransport(max_connections=MOST_CONNECTIONS, on_failure=on_failure)

    def judge(options: FilterOptions) -> Judge:
        if webhooks is not None and options.url is not None:
            return WebhookJudge(options, webhooks)
        return ModelJudge(options, gateway, clock=ground.clock, ids=ground.ids)

    meters = ground.stores.metering.meters
    asking = Asking(
        {one.called: judge(one) for one in filters},
        report=reporting(ground.log),
        took=lambda name, seconds: meters.histogram(catalog.FILTER_SECONDS, name).observe(seconds),
        clock=ground.clock,
    )
    return AskingParts(asking=asking, gateway=gateway, webhooks=webhooks)
