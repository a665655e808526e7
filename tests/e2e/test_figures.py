"""What /metrics says of a running service: who may ask, and figures that are asked for and not counted."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.api import AuthOptions
from llm_service.config import Settings
from llm_service.domain import Candidate, Secret
from llm_service.observability import ObservabilityOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.rest import Answer, ask, chat_body
from tests.support.service import Running, running, simulated

ADMIN_KEY = "sk-test-admin-of-the-figures-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
CHAT = "/v1/chat/completions"
PRICED = "openrouter/deepseek/deepseek-v4-pro"


@asynccontextmanager
async def service(sandbox: Sandbox, **settings: Any) -> AsyncIterator[Running]:
    async with running(Settings(providers=simulated(sandbox.address, total_s=20), **settings), cached=True) as made:
        yield made


async def told(made: Running, **headers: str) -> Callable[..., float | None]:
    """The figures as they are now."""
    await made.stores.metering.sampler.ask()
    made.stores.metering.sampler.sample()
    answer = await ask(made.address, "GET", "/metrics", **headers)
    assert answer.status == 200, answer.body
    samples = [sample for family in families(answer.body.decode()) for sample in family.samples]

    def figure(name: str, **where: str) -> float | None:
        found = [s.value for s in samples if s.name == name and where.items() <= s.labels.items()]
        return sum(found) if found else None

    return figure


async def test_figures_are_for_those_who_may_read(sandbox: Sandbox) -> None:
    guarded = AuthOptions(admin_key=Secret(ADMIN_KEY), required="always")

    async def asked(made: Running, **headers: str) -> Answer:
        return await ask(made.address, "GET", "/metrics", **headers)

    async with service(sandbox, auth=guarded) as made:
        assert (await asked(made)).status == 401
        assert (await asked(made, **ADMIN)).status == 200
    async with service(sandbox, auth=guarded, observability=ObservabilityOptions(metrics_open=True)) as made:
        assert (await asked(made)).status == 200


async def test_a_scraper_that_takes_openmetrics_gets_it(sandbox: Sandbox) -> None:
    async with service(sandbox) as made:
        await ask(made.address, "POST", CHAT, chat_body(PRICED))
        answer = await ask(made.address, "GET", "/metrics", Accept="application/openmetrics-text;version=1.0.0")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert "llm_requests" in {family.name for family in open_families(answer.body.decode())}


async def test_stores_providers_and_the_process_are_told(sandbox: Sandbox) -> None:
    async with service(sandbox) as made:
        await ask(made.address, "POST", CHAT, chat_body(PRICED))
        figure = await told(made)
        for store in ("limits", "cache", "database"):
            assert figure("llm_store_up", store=store) == 1
        assert figure("llm_provider_up", provider="openrouter") == 1
        assert figure("llm_provider_requests_in_flight", provider="openrouter") == 0
        assert figure("llm_cache_entries") == 1
        assert (figure("llm_workers"), figure("llm_config_generation")) == (1, 1)
        assert figure("llm_availability_ratio", window="1h") == 1
        assert figure("llm_availability_objective_ratio") == 0.999


async def test_what_is_switched_off_or_tripped_is_told(sandbox: Sandbox) -> None:
    models = {"fast": ModelOptions(deployments=(DeploymentOptions(provider="openrouter", model="deepseek/one"),))}
    async with service(sandbox, models=models) as made:
        assert (await told(made))("llm_breaker_state", upstream_model="deepseek/one") == 0
        for model in ("deepseek/one", "invented"):
            breaker = made.stores.breakers.of(Candidate(provider="openrouter", upstream_model=model))
            now = SystemClock().monotonic()
            breaker.heard_open(now, left_s=60.0, pause_s=60.0, opened_at=0.0, cause="a test")
        figure = await told(made)
        assert figure("llm_breaker_state", provider="openrouter", upstream_model="deepseek/one") == 2
        assert figure("llm_breaker_state", provider="openrouter", upstream_model="other") == 2
        assert figure("llm_breaker_state", upstream_model="invented") is None


async def test_budgets_are_compared_with_the_ledger(sandbox: Sandbox) -> None:
    limits = LimitsOptions(everybody=AllowanceOptions(budget_usd=Decimal("0.01")))
    async with service(sandbox, limits=limits) as made:
        await ask(made.address, "POST", CHAT, chat_body(PRICED))
        await made.stores.ledger.flush()
        figure = await told(made)
        used, spent = figure("llm_budget_used_ratio", scope="global"), figure("llm_cost_usd_total")
        assert spent
        assert used == pytest.approx(spent / 0.01)
        assert figure("llm_limit_drift_usd") == pytest.approx(0, abs=1e-9)


async def test_models_are_named_where_the_settings_or_a_catalogue_know_them(sandbox: Sandbox) -> None:
    models = {"fast": ModelOptions(deployments=(DeploymentOptions(provider="openrouter", model="deepseek/one"),))}
    async with service(sandbox, models=models) as made:
        assert (await ask(made.address, "GET", "/v1/models")).status == 200  # which asks the catalogues
        for model in ("fast", PRICED, "openrouter/deepseek/one", "openrouter/sandbox/chat", "openrouter/invented"):
            await ask(made.address, "POST", CHAT, chat_body(model))
        figure = await told(made)
        counted = {
            name: figure("llm_requests_total", model=name) for name in ("fast", PRICED, "openrouter/deepseek/one")
        }
        assert counted == {"fast": 1, PRICED: 1, "openrouter/deepseek/one": 1}
        assert figure("llm_requests_total", model="other") == 2


async def test_streams_that_clients_come_back_for_are_counted(sandbox: Sandbox) -> None:
    async with service(sandbox) as made:
        answer = await ask(made.address, "POST", CHAT, chat_body(PRICED, stream=True))
        await ask(made.address, "GET", f"/v1/streams/{answer.headers['x-llm-stream-id']}")
        await ask(made.address, "GET", "/v1/streams/str_none")
        figure = await told(made)
        assert figure("llm_stream_resumes_total", outcome="resumed") == 1
        assert figure("llm_stream_resumes_total", outcome="refused") == 1
        assert figure("llm_streams_total", status="ok") == 1
        assert figure("llm_http_requests_total", route="/v1/streams/{id}", status="200") == 1


async def test_answers_are_counted_by_route_whatever_was_asked_for(sandbox: Sandbox) -> None:
    async with service(sandbox) as made:
        for path in ("/chat/completions", "/v1/chat/completions/", CHAT):
            await ask(made.address, "POST", path, chat_body(PRICED))
        await ask(made.address, "POST", CHAT, b"{")
        await ask(made.address, "POST", CHAT, chat_body(PRICED, stream=True))
        for path in ("/a", "/b?c", "/admin/none"):
            await ask(made.address, "GET", path)
        await ask(made.address, "POST", "/health")
        await ask(
            made.address,
            "POST",
            "/graphql",
            b'{"query": "{ health { status } }"}',
            **{"Content-Type": "application/json"},
        )
        figure = await told(made)
        assert figure("llm_http_requests_total", route=CHAT, status="200") == 4
        assert figure("llm_http_requests_total", route=CHAT, status="400") == 1
        assert figure("llm_http_requests_total", route="other", status="404") == 3
        assert figure("llm_http_requests_total", route="other", status="405") == 1
        assert figure("llm_http_requests_total", route="/graphql", status="200") == 1


async def test_keys_have_figures_of_their_own_where_that_is_wanted(sandbox: Sandbox) -> None:
    async with service(sandbox, observability=ObservabilityOptions(metrics_key_label=True)) as made:
        await ask(made.address, "POST", CHAT, chat_body(PRICED))
        figure = await told(made)
        assert figure("llm_key_requests_total", key_id="local", status="ok") == 1
        assert figure("llm_key_cost_usd_total", key_id="local") == figure("llm_cost_usd_total")
