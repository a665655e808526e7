"""What is done to a fleet, each as an act of its story."""

import asyncio
from typing import Final

from tests.support.fleet.networks import BACK
from tests.support.fleet.story import Story
from tests.support.valkey import Server
from tests.support.waiting import until, until_answered

FAILS_OVER_WITHIN_S: Final = 30.0
COMES_BACK_WITHIN_S: Final = 60.0


async def grows_by_one(story: Story) -> None:
    fleet = story.fleet
    await fleet.grow(fleet.machines[len(fleet.serving)])


async def grows_to_all(story: Story) -> None:
    fleet = story.fleet
    await fleet.grow(*fleet.machines[len(fleet.serving) :])


async def is_upgraded_one_by_one(story: Story) -> None:
    for machine in story.fleet.machines:
        await story.fleet.upgrade(machine, story.current)


async def is_left_alone(story: Story) -> None:
    await asyncio.sleep(story.pace.calm_s)


async def loses_the_primary_of_the_limits(story: Story) -> None:
    """Its replica takes over; it comes back as a replica of that."""
    valkey = story.fleet.stores.valkey
    lost = valkey.keeper()
    lost.kill()
    await until(lambda: _keeper_but(lost, story) is not None, within_s=FAILS_OVER_WITHIN_S)
    await story.fleet.shared_again()
    await asyncio.to_thread(lost.start)
    await until(valkey.is_whole, within_s=COMES_BACK_WITHIN_S)


async def loses_postgres(story: Story) -> None:
    postgres = story.fleet.stores.postgres
    await asyncio.to_thread(postgres.kill)
    await asyncio.sleep(story.pace.outage_s)
    await asyncio.to_thread(postgres.start)
    await _sees_the_database(story)


async def has_a_machine_without_the_stores(story: Story) -> None:
    machine = story.fleet.serving[-1]
    machine.host.pull(BACK)
    await asyncio.sleep(story.pace.outage_s)
    machine.host.plug()
    await story.fleet.shared_again()
    await _sees_the_database(story)


async def has_a_machine_cut_from_everything(story: Story) -> None:
    """For longer than anybody's TCP waits for it."""
    machine = story.fleet.serving[-1]
    machine.host.pull()
    await asyncio.sleep(2 * story.pace.outage_s)
    machine.host.plug()
    await story.fleet.shared_again()
    await _sees_the_database(story)


async def shrinks_by_half(story: Story) -> None:
    serving = story.fleet.serving
    await story.fleet.shrink(*serving[len(serving) // 2 :])


def _keeper_but(lost: Server, story: Story) -> Server | None:
    try:
        keeper = story.fleet.stores.valkey.keeper()
    except (AssertionError, OSError, RuntimeError):  # nobody yet
        return None
    return None if keeper is lost else keeper


async def _sees_the_database(story: Story) -> None:
    async def all_see() -> bool:
        said = [await story.fleet.report(machine) for machine in story.fleet.serving]
        return all(one["stores"]["database"]["up"] for one in said)

    await until_answered(all_see, within_s=COMES_BACK_WITHIN_S)
