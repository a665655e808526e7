"""Whatever fits the two descriptions, or does not in one place, finds no request that the service fails on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.graphql import nodes

from llm_service.config import Settings
from llm_service.providers import ProviderOptions
from llm_service.sandbox import Sandbox
from tests.support.service import Running, running, simulated

EXAMPLES = {GenerationMode.POSITIVE: 8, GenerationMode.NEGATIVE: 3}
"""Of each operation: what fits its description, and what does not."""
BOUNDED = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
MOMENTS = st.datetimes().map(lambda moment: f"{moment.replace(microsecond=0).isoformat()}Z")
SCALARS = {
    "DateTime": MOMENTS.map(nodes.String),
    "USD": st.decimals(0, 10**6, places=4).map(str).map(nodes.String),
    "BigInt": st.integers(-(2**53), 2**53).map(nodes.Int),
    "JSON": st.one_of(st.text().map(nodes.String), st.integers().map(nodes.Int), st.booleans().map(nodes.Boolean)),
}


@pytest.fixture(scope="module", autouse=True)
def scalars() -> None:
    for name, strategy in SCALARS.items():
        schemathesis.graphql.scalar(name, strategy)


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    """Short patience with the providers: models with any name are asked for."""
    providers: dict[str, ProviderOptions] = dict(simulated(sandbox.address, connect_s=1, first_chunk_s=1, idle_s=1))
    async with running(Settings(providers=providers)) as service:
        yield service


@dataclass
class Tally:
    """How many requests were answered by what status, and the answers that are a failure of the server."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, case: Any, answer: Any) -> None:
        self.statuses[answer.status_code] += 1
        if answer.status_code in (500, 501) or "internal_error" in answer.text:
            self.failures.append(f"{case.method} {case.formatted_path} {case.body!r}: {answer.text[:300]}")


def asked(schema: Any, *, with_body_alone: bool = False, **other: Any) -> Tally:
    """Ask for each operation of a description in a few ways; wrongly perhaps only for those that have a body."""
    tally = Tally()
    for found in schema.get_all_operations():
        operation = found.ok()
        ask_for(operation, tally, GenerationMode.POSITIVE, **other)
        if operation.body or not with_body_alone:
            ask_for(operation, tally, GenerationMode.NEGATIVE, **other)
    return tally


def ask_for(operation: Any, tally: Tally, mode: GenerationMode, **other: Any) -> None:
    @settings(BOUNDED, max_examples=EXAMPLES[mode])
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        tally.note(case, case.call(**other))

    with suppress(Unsatisfiable):  # some descriptions cannot be broken
        ask()


async def test_no_graphql_document_makes_the_service_fail(service: Running) -> None:
    def run() -> Tally:
        return asked(schemathesis.graphql.from_url(f"{service.address}/graphql"), timeout=10)

    tally = await asyncio.to_thread(run)
    assert not tally.failures
    assert tally.statuses[200] > EXAMPLES[GenerationMode.POSITIVE]
    assert tally.statuses[400] > EXAMPLES[GenerationMode.NEGATIVE]
    assert not service.log.of("defect")


async def test_no_request_of_the_rest_interface_makes_the_service_fail(service: Running) -> None:
    def run() -> Tally:
        described = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
        with_an_end = described.exclude(path="/admin/events")
        return asked(with_an_end, with_body_alone=True, timeout=10)

    tally = await asyncio.to_thread(run)
    assert not tally.failures
    assert tally.statuses[200] > EXAMPLES[GenerationMode.POSITIVE]
    assert tally.statuses[400] > EXAMPLES[GenerationMode.NEGATIVE]
    assert not service.log.of("defect")
