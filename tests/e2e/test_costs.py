"""Money through real sockets: what a simulated provider billed is what is charged, estimated and corrected."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_service.bootstrap import build_provider
from llm_service.domain import Candidate, chat_request
from llm_service.prices import Meter, PriceBook, PriceList, charge
from llm_service.providers import HttpProvider, Provider, ProviderOptions, UpstreamCall
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from llm_service.tokens import Tokenizers
from tests.support.rest import ASKED
from tests.support.service import Running, simulated
from tests.support.waiting import until


def a_call(model: str, **fields: Any) -> UpstreamCall:
    request = chat_request({"model": model, "messages": ASKED, **fields})
    return UpstreamCall(request=request, candidate=Candidate(provider="openrouter", upstream_model=model))


def openrouter_of(gateway: Running) -> Provider:
    return gateway.service.parts.providers["openrouter"]


async def test_the_record_of_a_generation_says_what_the_answer_said(gateway: Running) -> None:
    provider = openrouter_of(gateway)
    outcome = (await provider.chat(a_call("deepseek/deepseek-v4-pro"))).outcome
    assert outcome is not None
    assert outcome.usage is not None
    assert outcome.cost is not None
    record = await provider.generation(outcome.upstream_id or "")
    assert record is not None
    assert record.cost_usd == outcome.cost.usd > 0
    assert (record.input_tokens, record.output_tokens) == (outcome.usage.input_tokens, outcome.usage.output_tokens)
    assert record.reasoning_tokens == outcome.usage.reasoning_tokens


async def test_a_generation_that_is_not_there_yet_is_none(gateway: Running) -> None:
    provider = openrouter_of(gateway)
    outcome = (await provider.chat(a_call("sandbox/generation-after-60s"))).outcome
    assert outcome is not None
    assert await provider.generation(outcome.upstream_id or "") is None


async def test_other_providers_have_no_records(gateway: Running) -> None:
    assert await gateway.service.parts.providers["deepseek"].generation("x") is None


async def test_query_parameters_of_the_operator_go_along(sandbox: Sandbox) -> None:
    options = ProviderOptions(**{**vars_of(simulated(sandbox.address)["openrouter"]), "query": {"api-version": "1"}})
    provider = build_provider("openrouter", options, clock=SystemClock(), on_failure=fail)
    assert isinstance(provider, HttpProvider)
    try:
        outcome = (await provider.chat(a_call("deepseek/deepseek-v4-pro"))).outcome
        assert outcome is not None
        assert await provider.generation(outcome.upstream_id or "") is not None
    finally:
        await provider.aclose()


def vars_of(options: ProviderOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("kind", "api_key", "base_url", "timeouts")}


def fail(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


async def test_a_left_stream_is_estimated_and_the_provider_knows_better_afterwards(
    gateway: Running, sandbox: Sandbox
) -> None:
    provider, meter, call = openrouter_of(gateway), Meter(), a_call("sandbox/tokens-30+pace-50ms", stream=True)
    reply = await provider.chat(call)
    seen = 0
    async for event in reply:
        meter.see(event.raw)
        seen += 1
        if seen == 5:
            break
    await reply.aclose()
    await until(lambda: reply.outcome is not None and sandbox.stats()["open"] == 0)
    assert reply.outcome is not None
    assert (reply.outcome.status, reply.outcome.usage) == ("aborted", None)

    tokenizers = Tokenizers(on_fallback=lambda fault: None)
    usage = await meter.usage(
        lambda text: tokenizers.count_text("x", text).tokens,
        lambda: tokenizers.count_input("x", call.request).tokens,
        input_bytes=200,
    )
    assert usage.input_tokens > 0 < usage.output_tokens
    record = await provider.generation(reply.outcome.upstream_id or "")
    assert record is not None
    assert record.output_tokens is not None
    assert 0 < record.output_tokens <= 30


async def test_prices_of_the_live_catalogue_come_to_what_the_provider_billed(gateway: Running) -> None:
    models = gateway.service.models
    assert models.told("openrouter", "openai/gpt-4o-mini") is None
    await models.list()
    book = PriceBook(lists={"openrouter": PriceList(name="openrouter")}, prices={}, live=models.told)
    outcome = (await openrouter_of(gateway).chat(a_call("deepseek/deepseek-v4-pro"))).outcome
    assert outcome is not None
    assert outcome.cost is not None
    price = book.price("openrouter", "deepseek/deepseek-v4-pro")
    assert price is not None
    assert price.origin == "provider"
    told = charge(outcome.usage, outcome.cost, price, datetime.now(UTC))
    reckoned = charge(outcome.usage, None, price, datetime.now(UTC))
    assert (told.cost_source, reckoned.cost_source) == ("provider", "catalog")
    assert told.nano_usd == reckoned.nano_usd == int(outcome.cost.usd * Decimal(10**9))
