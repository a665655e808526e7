"""``providers check``: what providers tell today, beside what the adapters, the prices and the settings expect."""

import asyncio
from pathlib import Path

from llm_service.bootstrap import build_provider, build_site
from llm_service.cli.configuration import complain
from llm_service.cli.output import print_json, refuse
from llm_service.cli.providers import report_failure, unknown_provider
from llm_service.config import Settings, SettingsError
from llm_service.environment import load
from llm_service.prices import PriceTable, load_table
from llm_service.providers import expected_of, price_list_for
from llm_service.runtime import SystemClock
from llm_service.services import Asked, Checked, checked, checked_object


def check_providers(config: Path | None, *, name: str | None, as_json: bool) -> int:
    """Check each provider; 1 when one has a problem."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        return complain(error, as_json=as_json)
    if name is not None and name not in settings.providers:
        return refuse(unknown_provider(name, settings), as_json=as_json)
    found = asyncio.run(check_all(settings, [name] if name else [*settings.providers]))
    if as_json:
        print_json([checked_object(one) for one in found])
    else:
        print("\n".join(line for one in found for line in check_lines(one)) or "No provider is configured.")
    return 0 if all(one.ok for one in found) else 1


async def check_all(settings: Settings, names: list[str]) -> list[Checked]:
    """What came of checking each, all of them at once."""
    table = load_table()
    return await asyncio.gather(*(check(settings, name, table) for name in names))


async def check(settings: Settings, name: str, table: PriceTable) -> Checked:
    """What came of checking one."""
    provider = build_provider(name, settings.providers[name], clock=SystemClock(), on_failure=report_failure)
    try:
        return await checked(provider, asked_of(settings, name), table)
    finally:
        await provider.aclose()


def asked_of(settings: Settings, name: str) -> Asked:
    """What the settings ask of a provider."""
    options = settings.providers[name]
    prices = price_list_for(name, options)
    return Asked(
        site=build_site(name, options),
        expected=expected_of(name, options),
        wanted=wanted_models(settings, name),
        retired=prices.aliases,
        price_list=prices.name,
    )


def wanted_models(settings: Settings, provider: str) -> dict[str, str]:
    """The upstream's names of models that the settings name, each with the first place that does."""
    wanted: dict[str, str] = {}
    for name, model in settings.models.items():
        for deployment in model.deployments:
            if deployment.provider == provider:
                wanted.setdefault(deployment.model, f"models.{name}")
    for priced in settings.prices:
        owner, _, upstream_model = priced.partition("/")
        if owner == provider and upstream_model != "*":
            wanted.setdefault(upstream_model, f"prices.{priced}")
    return wanted


def check_lines(one: Checked) -> list[str]:
    """What came of checking a provider, a line for it and one for each finding."""
    told = checked_object(one)
    verdict = "ok" if one.ok else f"{len(told['problems'])} problem{'s' * (len(told['problems']) > 1)}"
    models = "no catalogue" if one.models is None else f"{one.models} models"
    return [
        f"{one.name}: {verdict}, {models}",
        *(f"  problem: {said}" for said in told["problems"]),
        *(f"  note: {said}" for said in told["notes"]),
    ]
