from decimal import Decimal
from typing import Any

import pytest

from llm_service.api.rest.models import model_object, price_object
from llm_service.domain import Candidate, ModelInfo, Price, UpstreamError
from llm_service.prices import PriceOptions, load_table
from llm_service.routing import DeploymentOptions, ModelOptions
from tests.support.clock import ManualClock
from tests.support.control import ADMIN_KEY, Catalogue, client_of, models_of, parts_of, priced

SONNET = ModelInfo(
    id="anthropic/claude-sonnet-4.5",
    owned_by="anthropic",
    created=1_759_000_000,
    name="Claude Sonnet 4.5",
    context_tokens=1_000_000,
    max_output_tokens=64_000,
    price=Price(input_usd=Decimal("3.00"), output_usd=Decimal(15), cached_input_usd=Decimal("0.3")),
    parameters=("temperature", "tools"),
    input_modalities=("text", "image"),
)
OWN = PriceOptions(input_usd=Decimal("0.25"), output_usd=Decimal(1))
LLAMA = ModelInfo(id="llama3.2", owned_by="library")


async def listed(path: str = "/v1/models", **catalogues: Catalogue) -> Any:
    response = await client_of(parts_of(models=models_of(catalogues, ManualClock()))).get(path)
    assert response.status_code == 200
    return response.json()


async def test_a_model_tells_all_that_the_catalogue_knows() -> None:
    assert (await listed(openrouter=Catalogue([SONNET])))["data"] == [
        {
            "id": "openrouter/anthropic/claude-sonnet-4.5",
            "object": "model",
            "created": 1_759_000_000,
            "owned_by": "anthropic",
            "name": "Claude Sonnet 4.5",
            "provider": "openrouter",
            "context_length": 1_000_000,
            "max_output_tokens": 64_000,
            "pricing_usd_per_million": {"input": "3", "output": "15", "cached_input": "0.3"},
            "pricing_source": {"origin": "provider"},
            "supported_parameters": ["temperature", "tools"],
            "input_modalities": ["text", "image"],
        }
    ]


async def test_what_the_catalogue_does_not_know_is_left_out() -> None:
    assert await listed(ollama=Catalogue([LLAMA])) == {
        "object": "list",
        "data": [
            {"id": "ollama/llama3.2", "object": "model", "created": 0, "owned_by": "library", "provider": "ollama"}
        ],
    }


async def test_small_prices_are_plain_decimals() -> None:
    cheap = ModelInfo(id="m", owned_by="o", price=Price(input_usd=Decimal("1E-7"), output_usd=Decimal("1E+2")))
    (model,) = (await listed(p=Catalogue([cheap])))["data"]
    assert model["pricing_usd_per_million"] == {"input": "0.0000001", "output": "100"}


async def test_what_is_charged_by_the_table_is_shown_with_its_day_and_the_context_that_it_knows() -> None:
    (model,) = (await listed(deepseek=Catalogue([ModelInfo(id="deepseek-v3.2", owned_by="deepseek")])))["data"]
    known = load_table().find("deepseek", "deepseek-v3.2")
    assert known is not None
    assert model["pricing_usd_per_million"] == price_object(known.at(ManualClock().now()))
    assert model["pricing_source"] == {"origin": "table", "date": str(known.stated_on)}
    assert model["context_length"] == known.context_tokens == 128_000


async def test_what_the_operator_charges_is_shown_in_place_of_what_the_catalogue_says() -> None:
    clock = ManualClock()
    models = priced(models_of({"openrouter": Catalogue([SONNET])}, clock), clock, openrouter=OWN)
    (entry,) = await models.list()
    shown = model_object(entry)
    assert (shown["pricing_usd_per_million"]["input"], shown["pricing_source"]) == ("0.25", {"origin": "operator"})


async def test_a_price_that_hangs_on_the_hour_is_that_of_now() -> None:
    prices = {}
    for hour in (0, 2):
        clock = ManualClock()
        clock.advance(hour * 3600)
        info = ModelInfo(id="deepseek-flash", owned_by="deepseek")
        (entry,) = await priced(models_of({"deepseek": Catalogue([info])}, clock), clock).list()
        prices[clock.now().hour] = model_object(entry)["pricing_usd_per_million"]["input"]
    assert prices == {0: "0.15", 2: "0.3"}


async def test_a_part_of_a_price_that_is_not_charged_is_shown_as_the_catalogue_says_it() -> None:
    half = ModelInfo(id="m", owned_by="o", price=Price(input_usd=Decimal(1)))
    (model,) = (await listed(p=Catalogue([half])))["data"]
    assert (model["pricing_usd_per_million"], "pricing_source" in model) == ({"input": "1"}, False)


@pytest.mark.parametrize(
    "path", ["/v1/models/a/b%2Fc", "/v1/models/a%2Fb%2Fc", "/v1/models/a/b/c", "/models/a/b/c", "/v1/models/a/b/c/"]
)
async def test_one_model_is_found_with_its_slashes_in_any_spelling(path: str) -> None:
    model = await listed(path, a=Catalogue([ModelInfo(id="b/c", owned_by="o")]))
    assert model["id"] == "a/b/c"


async def test_an_unknown_model_is_a_404_that_names_it() -> None:
    response = await client_of(parts_of()).get("/v1/models/nobody/knows")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "nobody/knows" in error["message"]


async def test_a_provider_that_fails_hides_nobody_else() -> None:
    body = await listed(broken=Catalogue(UpstreamError("no")), ollama=Catalogue([LLAMA]))
    assert [model["id"] for model in body["data"]] == ["ollama/llama3.2"]


async def test_names_of_the_operator_come_first_and_tell_what_they_stand_for() -> None:
    clock = ManualClock()
    fast = ModelOptions(deployments=(DeploymentOptions(provider="openrouter", model=SONNET.id),))
    models = models_of({"openrouter": Catalogue([SONNET])}, clock, named={"fast": fast})
    data = (await client_of(parts_of(models=models)).get("/v1/models")).json()["data"]
    assert [(model["id"], model.get("provider"), model["context_length"]) for model in data] == [
        ("fast", None, 1_000_000),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter", 1_000_000),
    ]


async def test_a_catalogue_that_is_not_known_is_asked_for_again_after_half_a_minute_and_then_no_more() -> None:
    clock = ManualClock()
    catalogue = Catalogue(UpstreamError("no"))
    client = client_of(parts_of(models=models_of({"ollama": catalogue}, clock)))
    for seconds, asked in ((0, 1), (29, 1), (1, 2)):
        clock.advance(seconds)
        assert (await client.get("/v1/models")).json()["data"] == []
        assert catalogue.asked == asked
    catalogue.says = [LLAMA]
    for seconds in (30, 7200):
        clock.advance(seconds)
        assert len((await client.get("/v1/models")).json()["data"]) == 1
    assert catalogue.asked == 3


async def test_a_catalogue_that_fails_later_is_shown_as_it_was() -> None:
    clock = ManualClock()
    catalogue = Catalogue([LLAMA])
    models = models_of({"ollama": catalogue}, clock)
    client = client_of(parts_of(models=models))
    before = (await client.get("/v1/models")).json()
    catalogue.says = UpstreamError("no")
    await models.refresh("ollama")
    assert (await client.get("/v1/models")).json() == before


async def test_models_are_shown_to_known_callers_only() -> None:
    client = client_of(parts_of(), keyless=False)
    refused = await client.get("/v1/models")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (await client.get("/v1/models", headers={"Authorization": f"Bearer {ADMIN_KEY}"})).status_code == 200


async def test_every_response_names_its_request() -> None:
    client = client_of(parts_of())
    ids = [(await client.get(path)).headers["x-request-id"] for path in ("/v1/models", "/v1/models/x", "/nowhere")]
    assert len(set(ids)) == 3


async def test_an_error_names_the_request_in_head_and_body_alike() -> None:
    response = await client_of(parts_of()).get("/v1/models/x")
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek/deepseek-chat"])
async def test_a_retired_name_that_is_served_is_found_as_asked_though_the_list_has_it_not(name: str) -> None:
    catalogue = Catalogue([ModelInfo(id="deepseek-flash", owned_by="deepseek", context_tokens=1000)])
    aliases = {name: Candidate(provider="deepseek", upstream_model="deepseek-flash")}
    client = client_of(parts_of(models=models_of({"deepseek": catalogue}, ManualClock(), aliases=aliases)))
    answered = (await client.get(f"/v1/models/{name}")).json()
    assert answered.pop("pricing_source")["origin"] == "table"
    assert answered.pop("pricing_usd_per_million").keys() >= {"input", "output"}
    assert answered == {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "deepseek",
        "provider": "deepseek",
        "context_length": 1000,
    }
    assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == ["deepseek/deepseek-flash"]


async def test_a_retired_name_is_found_while_its_catalogue_fails_and_not_without_its_provider() -> None:
    aliases = {"deepseek-chat": Candidate(provider="deepseek", upstream_model="deepseek-flash")}
    failing = models_of({"deepseek": Catalogue(UpstreamError("no"))}, ManualClock(), aliases=aliases)
    found = await client_of(parts_of(models=failing)).get("/v1/models/deepseek-chat")
    assert (found.json()["id"], found.json()["owned_by"]) == ("deepseek-chat", "deepseek")
    without = models_of({}, ManualClock(), aliases=aliases)
    assert (await client_of(parts_of(models=without)).get("/v1/models/deepseek-chat")).status_code == 404
