"""What the sender asks of its transport."""

import pytest

from llm_service.domain import Candidate, chat_request
from llm_service.providers import HttpProvider, ProviderOptions, TimeoutOptions, UpstreamCall, dialect_for
from llm_service.transport import HttpRequest, Receiver
from tests.support.clock import ManualClock
from tests.support.live import Flow


class Asked:
    """A transport that keeps the request, and never answers."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest, receiver: Receiver) -> Flow:
        self.requests.append(request)
        return Flow()

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("stream", [True, False])
async def test_requests_for_streams_alone_go_out_at_once(stream: bool) -> None:
    transport, clock, options = Asked(), ManualClock(), ProviderOptions(base_url="http://127.0.0.1:1/v1")
    provider = HttpProvider(
        name="p",
        dialect=dialect_for("p", options, clock),
        transport=transport,
        base_url="http://127.0.0.1:1/v1",
        headers={},
        query={},
        timeouts=TimeoutOptions(),
        clock=clock,
        keys=[(None, {})],
    )
    body = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    answering = provider.chat(
        UpstreamCall(request=chat_request(body), candidate=Candidate(provider="p", upstream_model="m"))
    )
    answering.close()  # type: ignore[attr-defined]  # nobody waits for it
    await provider.aclose()
    (request,) = transport.requests
    assert request.at_once is stream
