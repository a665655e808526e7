"""What providers tell today is compared with what the adapters expect: against the sandbox, and doctored bodies."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llm_service.bootstrap import build_provider, build_site
from llm_service.domain import LLMServiceError, ModelInfo, Secret, UpstreamError
from llm_service.prices import PriceTable, load_table
from llm_service.providers import Account, Provider, ProviderOptions, expected_of, price_list_for
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from llm_service.services import Asked, Checked, checked
from tests.support.upstream import failed

TABLE = load_table()
PATHS = {"openrouter": "/openrouter/api/v1", "deepseek": "/deepseek", "openai": "/openai/v1"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(pace_s=0.0) as sandbox:
        yield sandbox


class Doctored:
    """The sandbox's provider; what it tells is changed on the way. ``fault``: it fails instead."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.name = provider.name
        self.doctor: Callable[[dict[str, Any]], None] = lambda entry: None
        self.doctor_account: Callable[[dict[str, Any]], None] = lambda body: None
        self.fault: LLMServiceError | None = None

    async def catalogue(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        body = json.loads(await self._provider.catalogue())
        for entry in body["data"]:
            self.doctor(entry)
        body["data"] = [entry for entry in body["data"] if entry]
        return json.dumps(body).encode()

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        return self._provider.models(catalogue)

    async def account_bodies(self) -> Sequence[bytes]:
        bodies = [json.loads(body) if body else None for body in await self._provider.account_bodies()]
        for body in filter(None, bodies):
            self.doctor_account(body.get("data", body))
        return [b"" if body is None else json.dumps(body).encode() for body in bodies]

    def account_of(self, bodies: Sequence[bytes]) -> Account:
        return self._provider.account_of(bodies)


Check = Callable[..., Any]


@pytest.fixture
async def made(sandbox: Sandbox) -> AsyncIterator[Callable[[str], tuple[Doctored, Asked]]]:
    providers: list[Provider] = []

    def make(name: str) -> tuple[Doctored, Asked]:
        options = ProviderOptions(base_url=sandbox.address + PATHS[name], api_key=Secret("sk-or-mgmt-0123456789"))
        options = options.completed(name)
        providers.append(build_provider(name, options, clock=SystemClock(), on_failure=failed))
        prices = price_list_for(name, options)
        asked = Asked(
            site=build_site(name, options),
            expected=expected_of(name, options),
            wanted={},
            retired=prices.aliases,
            price_list=prices.name,
        )
        return Doctored(providers[-1]), asked

    yield make
    for provider in providers:
        await provider.aclose()


async def check(provider: Doctored, asked: Asked, table: PriceTable = TABLE) -> Checked:
    return await checked(provider, asked, table)  # type: ignore[arg-type]


def problems(one: Checked) -> list[str]:
    return [finding.said for finding in one.findings if finding.level == "problem"]


def notes(one: Checked) -> list[str]:
    return [finding.said for finding in one.findings if finding.level == "note"]


Made = Callable[[str], tuple[Doctored, Asked]]


@pytest.mark.parametrize("name", [*PATHS])
async def test_the_sandbox_is_as_the_adapters_expect(made: Made, name: str) -> None:
    one = await check(*made(name))
    assert (problems(one), one.ok) == ([], True)
    assert [note for note in notes(one) if "field" in note] == []


async def test_models_of_the_price_table_that_are_gone_are_noted(made: Made) -> None:
    table = PriceTable(
        {
            "source": {"date": "2026-11-25"},
            "fallbacks": {},
            "lists": {
                "deepseek": [
                    {"names": ["deepseek-flash"], "prices": []},
                    {"names": ["deepseek-coder"], "prices": []},
                    {"names": ["deepseek-v4*"], "prices": []},
                ]
            },
        }
    )
    one = await check(*made("deepseek"), table)
    assert notes(one) == ["prices: 1 models of the price table are gone: deepseek-coder"]


async def test_a_field_that_the_adapter_reads_and_does_not_find_is_a_problem(made: Made) -> None:
    provider, asked = made("openrouter")

    def doctor(entry: dict[str, Any]) -> None:
        entry["pricing"].pop("completion")
        entry["context_window"] = entry.pop("context_length")

    provider.doctor = doctor
    provider.doctor_account = lambda body: body.pop("limit_remaining", None)
    one = await check(provider, asked)
    found = problems(one)
    assert not one.ok
    for name in ("context_length", "pricing.completion"):
        assert any(
            said.startswith(f"models: the field `{name}`, which the adapter reads, is missing") for said in found
        )
    assert any("account: the field `limit_remaining`" in said for said in found)
    assert any(said.startswith("models: the field `context_window` is new") for said in notes(one))


async def test_a_field_that_is_new_is_noted_with_how_often_it_comes(made: Made) -> None:
    provider, asked = made("deepseek")

    def doctor(entry: dict[str, Any]) -> None:
        if entry["id"] == "deepseek-flash":
            entry["peak_hours"] = "1-4"

    provider.doctor = doctor
    provider.doctor_account = lambda body: body["balance_infos"][0].update(frozen="0")
    one = await check(provider, asked)
    assert one.ok
    assert "models: the field `peak_hours` is new in 1 of 2" in notes(one)
    assert any(said.startswith("account: the field `balance_infos.frozen` is new") for said in notes(one))


async def test_configured_models_that_the_catalogue_does_not_know_are_problems(made: Made) -> None:
    provider, asked = made("deepseek")
    wanted = {
        "deepseek-flash": "models.fast",
        "deepseek-chat": "models.old",
        "deepseek-v9": "models.new",
        "deepseek-v8": "prices.deepseek/deepseek-v8",
    }
    one = await check(provider, replace(asked, wanted=wanted))
    assert problems(one) == [
        "models.new: the catalogue has no model `deepseek-v9`",
        "prices.deepseek/deepseek-v8: the catalogue has no model `deepseek-v8`",
    ]


async def test_a_configured_model_that_is_to_be_given_up_is_a_problem(made: Made) -> None:
    provider, asked = made("openrouter")
    provider.doctor = lambda entry: entry.update(expiration_date="2027-01-31")
    wanted = {"openai/gpt-4o:nitro": "models.a", "openai/text-embedding-9": "models.b", "openrouter/fusion": "models.c"}
    one = await check(provider, replace(asked, wanted=wanted))
    assert problems(one) == ["models.a: the model `openai/gpt-4o:nitro` is to be given up on 2027-01-31"]
    assert [said for said in notes(one) if said.startswith("models.")] == [
        "models.b: the catalogue has no model `openai/text-embedding-9`",
        "models.c: the catalogue has no model `openrouter/fusion`",
    ]


async def test_an_account_without_money_and_a_provider_that_fails_are_problems(made: Made) -> None:
    provider, asked = made("deepseek")
    provider.doctor_account = lambda body: body.update(is_available=False)
    assert any("no money left" in said for said in problems(await check(provider, asked)))
    provider.fault = UpstreamError("It failed.")
    one = await check(provider, asked)
    assert (one.ok, one.models, len(problems(one))) == (False, None, 1)


async def test_an_empty_catalogue_is_a_problem(made: Made) -> None:
    provider, asked = made("deepseek")
    provider.doctor = dict.clear
    assert problems(await check(provider, asked)) == ["models: the catalogue is empty"]
