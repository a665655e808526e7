"""Compares what a provider's free endpoints say today with what the adapters, the prices and the settings expect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final, Literal

from llm_service.domain import LLMServiceError, ModelInfo, fact, fact_in_order
from llm_service.prices import PriceTable
from llm_service.providers import Expected, FieldDrift, Provider, account_drift, catalogue_drift
from llm_service.services.diagnosis import Site, diagnose, no_money

Level = Literal["problem", "note"]
MOST_NAMED: Final = 5


@fact_in_order
class Finding:
    """Something that differs. A problem wants to be looked at; a note does no harm."""

    level: Level
    said: str


@fact
class Checked:
    """What came of checking one provider. ``models``: in its catalogue, ``None`` where it cannot be read."""

    name: str
    models: int | None
    findings: Sequence[Finding]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return all(finding.level != "problem" for finding in self.findings)


@fact
class Asked:
    """What the settings ask of a provider. ``wanted``: names of its models, each with the settings that name it.

    ``retired``: names that are turned into others before they are sent. ``price_list``: where the table has its models.
    """

    site: Site
    expected: Expected
    wanted: Mapping[str, str]
    retired: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    price_list: str


async def checked(provider: Provider, asked: Asked, table: PriceTable) -> Checked:
    """Ask the provider's free endpoints, and compare."""
    findings: list[Finding] = []
    models: Sequence[ModelInfo] | None = None
    try:
        raw = await provider.catalogue()
        models = provider.models(raw)
        findings += _of_fields("models", catalogue_drift(raw, asked.expected))
        findings += _of_models(models, asked, table)
        bodies = await provider.account_bodies()
        findings += _of_fields("account", account_drift(bodies, asked.expected))
        if not provider.account_of(bodies).usable:
            findings.append(Finding("problem", no_money(asked.site).problem))
    except LLMServiceError as error:
        told = diagnose(error, asked.site)
        findings.append(Finding("problem", f"{told.problem} {told.remedy}"))
    return Checked(name=provider.name, models=None if models is None else len(models), findings=findings)


def checked_object(one: Checked) -> dict[str, Any]:
    """What came of checking a provider, as commands print it."""
    findings = {level: [f.said for f in one.findings if f.level == level] for level in ("problem", "note")}
    return {
        "name": one.name,
        "ok": one.ok,
        "models": one.models,
        "problems": findings["problem"],
        "notes": findings["note"],
    }


def _of_fields(what: str, drift: FieldDrift) -> Iterator[Finding]:
    for name, (count, whole) in drift.missing.items():
        yield Finding(
            "problem", f"{what}: the field `{name}`, which the adapter reads, is missing{_often(count, whole)}"
        )
    for name, (count, whole) in drift.new.items():
        yield Finding("note", f"{what}: the field `{name}` is new{_often(count, whole)}")


def _of_models(models: Sequence[ModelInfo], asked: Asked, table: PriceTable) -> Iterator[Finding]:
    known = {info.id: info for info in models}
    if not known:
        yield Finding("problem", "models: the catalogue is empty")
        return
    for name, where in asked.wanted.items():
        info = known.get(asked.retired.get(name, name)) or known.get(name.partition(":")[0])
        if info is None:
            # OpenRouter's list leaves out what gives no text.
            level: Level = "note" if "embed" in name or name.startswith("openrouter/") else "problem"
            yield Finding(level, f"{where}: the catalogue has no model `{name}`")
        elif info.deprecated:
            on = f" on {info.expires_on.isoformat()}" if info.expires_on else ""
            yield Finding("problem", f"{where}: the model `{name}` is to be given up{on}")
    gone = table.unmet(asked.price_list, known)
    if gone:
        yield Finding("note", f"prices: {len(gone)} models of the price table are gone: {_some(gone)}")


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _often(count: int, whole: int) -> str:
    return "" if count == whole == 1 else f" in {count} of {whole}"
