"""What happens to a key in one process takes effect in all of them."""

from collections.abc import AsyncIterator, Callable

import pytest

from llm_service.services import KEYS_TOPIC, Issued
from llm_service.services.follow import POLL_S
from tests.support.key_service import Process, World
from tests.support.waiting import loop_turns, until


@pytest.fixture
async def start(world: World) -> AsyncIterator[Callable[..., Process]]:
    """Processes that follow changes."""
    started: list[Process] = []

    def start(*, messages: bool = True) -> Process:
        process = Process(world, messages=messages)
        process.changes.start()
        started.append(process)
        return process

    yield start
    for process in started:
        await process.tasks.aclose()
        assert process.failures == []


async def settled() -> None:
    """Everything that can go on without time has gone on."""
    await loop_turns(20)


async def known_to(*processes: Process) -> Issued:
    """A key that all of them know already."""
    issued = await processes[0].issue()
    await settled()
    for process in processes:
        await process.caller(issued)
    return issued


async def test_a_revocation_takes_effect_here_at_once(start: Callable[..., Process]) -> None:
    process = start()
    issued = await known_to(process)
    await process.keys.revoke(issued.key.id)
    assert "revoked" in str(await process.refusal(issued))


async def test_a_revocation_takes_effect_in_another_process_by_message(start: Callable[..., Process]) -> None:
    here, there = start(), start()
    issued = await known_to(here, there)
    await here.keys.revoke(issued.key.id)
    assert "revoked" in str(await there.refusal(issued))


async def test_without_messages_it_takes_effect_within_half_a_second(
    world: World, start: Callable[..., Process]
) -> None:
    here, there = start(), start(messages=False)
    issued = await known_to(here, there)
    await here.keys.revoke(issued.key.id)
    assert there.knows(issued)
    world.clock.advance(POLL_S)
    await settled()
    assert "revoked" in str(await there.refusal(issued))


async def test_a_lost_message_is_made_good_by_the_poll(world: World, start: Callable[..., Process]) -> None:
    here, there = start(), start()
    issued = await known_to(here, there)
    world.bulletin.mute = True
    await here.keys.update(issued.key.id, {"scopes": ["read"]})
    world.clock.advance(POLL_S)
    await settled()
    assert (await there.caller(issued)).scopes == {"read"}


async def test_a_message_that_cannot_be_sent_does_not_undo_the_change(
    world: World, start: Callable[..., Process]
) -> None:
    process = start()
    issued = await known_to(process)
    world.bulletin.away = True
    await process.keys.revoke(issued.key.id)
    assert "revoked" in str(await process.refusal(issued))
    assert len(process.log.of("a changed key was not announced; other processes find it in the database")) == 1


async def test_the_doors_hear_of_a_revocation_and_of_no_other_change(start: Callable[..., Process]) -> None:
    here, there = start(), start()
    heard: list[str] = []
    there.authenticator.on_revoked(heard.append)
    issued = await known_to(here, there)
    await here.keys.update(issued.key.id, {"name": "other"})
    await settled()
    assert heard == []
    await here.keys.revoke(issued.key.id)
    await until(lambda: heard)
    assert set(heard) == {issued.key.id}


async def test_a_door_that_has_closed_hears_no_more(start: Callable[..., Process]) -> None:
    here, there = start(), start()
    heard: list[str] = []
    closed: list[str] = []
    there.authenticator.on_revoked(heard.append)
    there.authenticator.on_revoked(closed.append)
    there.authenticator.off_revoked(closed.append)
    issued = await known_to(here, there)
    await here.keys.revoke(issued.key.id)
    await until(lambda: heard)
    assert closed == []


async def test_the_doors_hear_of_a_key_that_was_never_presented_here(
    world: World, start: Callable[..., Process]
) -> None:
    here, there = start(), start(messages=False)
    heard: list[str] = []
    there.authenticator.on_revoked(heard.append)
    issued = await here.issue()
    world.clock.advance(POLL_S)
    await settled()
    await here.keys.revoke(issued.key.id)
    world.clock.advance(POLL_S)
    await settled()
    assert heard == [issued.key.id]


async def test_a_door_that_fails_keeps_no_other_revocation_from_taking_effect(start: Callable[..., Process]) -> None:
    process = start()
    first, second = await known_to(process), await known_to(process)

    def fail(key_id: str) -> None:
        raise RuntimeError("a defect")

    heard: list[str] = []
    process.authenticator.on_revoked(fail)
    process.authenticator.on_revoked(heard.append)
    for issued in (first, second):
        await process.keys.revoke(issued.key.id)
        await settled()
        assert "revoked" in str(await process.refusal(issued))
    assert set(heard) == {first.key.id, second.key.id}
    assert len(process.log.of("a revocation was not acted upon")) >= 2


async def test_while_the_database_is_away_known_keys_go_on_and_changes_are_caught_up_with(
    world: World, start: Callable[..., Process]
) -> None:
    here, there = start(), start(messages=False)
    issued = await known_to(here, there)
    await here.keys.revoke(issued.key.id)
    world.store.away = True
    for _ in range(5):
        world.clock.advance(POLL_S)
        await settled()
    assert there.knows(issued)
    world.store.away = False
    world.clock.advance(POLL_S)
    await settled()
    assert "revoked" in str(await there.refusal(issued))
    assert [len(there.log.of(f"changes of keys {what}")) for what in
            ("cannot be read; known keys go on", "are read again")] == [1, 1]  # fmt: skip


async def test_a_defect_of_the_store_does_not_end_the_following(
    world: World, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = start(), start(messages=False)
    issued = await known_to(here, there)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "changed_since", lambda mark: 1 / 0)
        world.clock.advance(POLL_S)
        await settled()
    assert len(there.log.of("changes of keys cannot be read")) == 1
    await here.keys.revoke(issued.key.id)
    world.clock.advance(POLL_S)
    await settled()
    assert "revoked" in str(await there.refusal(issued))


async def test_what_was_read_before_the_first_mark_is_read_again(world: World, start: Callable[..., Process]) -> None:
    world.store.away = True
    here, there = Process(world), start(messages=False)
    await settled()
    world.store.away = False
    issued = await here.issue()
    await there.caller(issued)
    await here.keys.revoke(issued.key.id)
    world.clock.advance(POLL_S)
    await settled()
    assert "revoked" in str(await there.refusal(issued))


@pytest.mark.parametrize("text", ["", "key_1", "key_" + "g" * 26, "x" * 10_000, "key_" + "0" * 26 + "\n"])
async def test_a_message_that_is_no_key_id_is_left_alone(
    world: World, start: Callable[..., Process], text: str
) -> None:
    process = start()
    issued = await known_to(process)
    changes = process.issued._changes
    await world.bulletin.publish(KEYS_TOPIC, text)
    await settled()
    assert (process.issued._changes, process.knows(issued)) == (changes, True)
