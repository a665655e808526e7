"""Machines behind a balancer, on a Valkey cluster and PostgreSQL, come and go, are upgraded, lose each other and their
stores, under load: limits are exact, no budget is overspent, every answer has its record, clients see next to nothing.

What a client sees counts, after at most the balancer's own next try before anything was sent: an answer that is not the
one asked for is an error, also where a client's library would ask again. A stream that is cut is gone on with by its
client, behind its last event, and is an error where that does not give the whole text within 25 s. A refusal by the
caller's own limit or budget is no error.
"""

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.evidence import Evidence
from tests.support.fleet import acts
from tests.support.fleet.balancer import BALANCERS, installed
from tests.support.fleet.fleet import Terms, fleet
from tests.support.fleet.load import Call
from tests.support.fleet.networks import ALL, CannotBuild, Rack, rack
from tests.support.fleet.story import NANO, Act, Pace, Story
from tests.support.fleet.versions import NoFormer, former, sources_of
from tests.support.network import Guard
from tests.support.postgres import CannotRun, binaries

MOST_ERRORS = 0.001
LEAST_ANSWERS = 50
BY_SLOWNESS = ("ledger_unavailable", "overloaded", "unreachable", "TimeoutError")
"""How the errors of machines begin that have no core: the long run shows that there is next to none where they have."""
SHORT = Pace(8, between_s=2.0, outage_s=2.0, calm_s=4.0, leaving=0.2, warm=True, terms=Terms(8, 600, "0.0003"))
LONG = Pace(40, between_s=20.0, outage_s=12.0, calm_s=65.0, leaving=0.08, warm=False, terms=Terms(120, 6000, "0.05"))
SHORT_ACTS: tuple[Act, ...] = (
    acts.grows_by_one,
    acts.is_left_alone,
    acts.loses_the_primary_of_the_limits,
    acts.has_a_machine_without_the_stores,
    acts.loses_postgres,
    acts.shrinks_by_half,
)
LONG_ACTS: tuple[Act, ...] = (
    acts.grows_to_all,
    acts.is_upgraded_one_by_one,
    acts.is_left_alone,
    acts.loses_the_primary_of_the_limits,
    acts.is_left_alone,
    acts.loses_postgres,
    acts.has_a_machine_without_the_stores,
    acts.is_left_alone,
    acts.has_a_machine_cut_from_everything,
    acts.is_left_alone,
    acts.shrinks_by_half,
)


@pytest.fixture
def hosts(network_guard: Guard) -> Iterator[Rack]:
    """An empty rack, in whose networks this test is until its end."""
    try:
        binaries()
        with rack() as made:
            network_guard.own = ALL
            yield made
    except (CannotBuild, CannotRun) as reason:
        pytest.skip(str(reason))
    finally:
        network_guard.own = None


def held(story: Story) -> list[str]:
    """Which promises were not kept, but for how many errors clients saw."""
    terms = story.pace.terms
    requests, tokens = story.windows_of("scarce"), story.windows_of("thrifty", tokens=True)
    limited = {call.payer.name for call in story.load.calls if call.ending == "limited"}
    kept = {
        "requests a minute": requests.calm <= terms.requests_per_minute,
        "requests a minute, alone": requests.disturbed <= story.most_alone(terms.requests_per_minute),
        "tokens a minute": tokens.calm <= terms.tokens_per_minute,
        "tokens a minute, alone": tokens.disturbed <= story.most_alone(terms.tokens_per_minute),
        "budget": story.spent_nano_usd("poor") <= Decimal(terms.budget_usd) * NANO,
        "limits that refused": limited == {"scarce", "thrifty", "poor"},
        "no other text": not any(one.ending == "wrong" for one in story.load.calls),
        "streams gone on with": any(one.ending == "ok" and one.resumes for one in story.load.calls),
        "verified": story.fleet.verified()["ok"],
    }
    return [name for name, is_kept in kept.items() if not is_kept] + story.faults()[:20]


def hidden(story: Story) -> list[Call]:
    """Calls whose clients came back for the rest while the machine that has it could tell nobody."""
    told = story.during(acts.has_a_machine_without_the_stores)
    return [one for one in told if one.leaves_after is not None and one.code in ("not_found", "stream_interrupted")]


def needs(balancer: str) -> None:
    if not installed(balancer):
        pytest.skip(f"{balancer} is not installed")


@pytest.mark.timeout(240)
async def test_a_fleet_keeps_its_promises_while_its_stores_fail(tmp_path: Path, hosts: Rack) -> None:
    needs("nginx")
    async with fleet(tmp_path, hosts, machines=2) as made:
        story = Story(made, SHORT, random.Random(1))
        await story.tell(SHORT_ACTS)
        assert held(story) == []
    print(story.figures())
    errors = [one for one in story.load.errors() if not one.code.startswith(BY_SLOWNESS)]
    assert [one.describe() for one in errors if one not in hidden(story)] == []
    assert story.load.endings()["ok"] > LEAST_ANSWERS


@pytest.mark.full
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("balancer", BALANCERS)
async def test_and_over_a_life_of_changes_and_partitions(
    tmp_path: Path, hosts: Rack, balancer: str, evidence: Evidence
) -> None:
    needs(balancer)
    try:
        revision = former()
        source = sources_of(revision, tmp_path / "former")
    except NoFormer as reason:
        pytest.skip(str(reason))
    async with fleet(tmp_path, hosts, machines=4, workers=2, balancer=balancer, source=source) as made:
        story = Story(made, LONG, random.Random(2))
        await story.tell(LONG_ACTS)
        figures = {"upgraded_from": f"`{revision}`", **story.figures()}
        print(figures, "\n".join(one.describe() for one in story.load.errors()), sep="\n")
        print(made.errors())
        name = "fleet" if balancer == "nginx" else f"fleet-{balancer}"
        evidence.record(name, title=f"A fleet of four machines behind {balancer}", figures=figures)
        assert held(story) == []
        assert story.windows_of("scarce").calm == LONG.terms.requests_per_minute  # all of it, for more is asked for
        assert made.balancer.resumed_elsewhere() > 0
    assert story.schemas[0] <= story.schemas[1]
    assert len(story.load.errors()) <= MOST_ERRORS * len(story.load.calls)
