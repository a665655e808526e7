"""Messages reach every process that listens, the sender's own included, and again after the line was lost."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, suppress

import pytest

from llm_service.runtime import SystemClock
from llm_service.storage import Bulletin, ProcessBulletin, StoreUnavailable, ValkeyBulletin, ValkeyClient
from tests.support.timed import within
from tests.support.valkey import Server, SlowLine, ValkeyCluster
from tests.support.waiting import until, until_answered
from tests.unit.storage.conftest import Connect

Failures = list[tuple[str, str]]
Post = Callable[..., ValkeyBulletin]


@pytest.fixture
def failures() -> Failures:
    return []


@pytest.fixture
async def post(failures: Failures) -> AsyncIterator[Post]:
    """Makes a bulletin of a client."""
    async with AsyncExitStack() as stack:

        def post(client: ValkeyClient, *, silent_s: float = 3.0) -> ValkeyBulletin:
            bulletin = ValkeyBulletin(
                client,
                prefix="llm:",
                clock=SystemClock(),
                source=random.Random(1),
                silent_s=silent_s,
                on_failure=lambda work, error: failures.append((work, str(error))),
            )
            stack.push_async_callback(bulletin.aclose)
            return bulletin

        yield post


@pytest.fixture(params=["process", "valkey"])
async def bulletin(
    request: pytest.FixtureRequest, failures: Failures, valkey: Server, connect: Connect, post: Post
) -> AsyncIterator[Bulletin]:
    if request.param == "valkey":
        yield post(await connect(valkey.url))
        return
    async with aclosing(ProcessBulletin(lambda work, error: failures.append((work, str(error))))) as bulletin:
        yield bulletin


async def listening(bulletin: Bulletin, topic: str) -> list[str]:
    """What is heard on a topic, from when it is heard."""
    heard: list[str] = []
    bulletin.listen(topic, heard.append)

    async def said() -> list[str]:
        with suppress(StoreUnavailable):
            await bulletin.publish(topic, "hello")
        return heard

    await until_answered(said)
    await until_quiet(heard)
    return heard


async def until_quiet(heard: list[str]) -> None:
    """Until the greetings that are under way have come; then they are forgotten."""
    while heard:
        heard.clear()
        await asyncio.sleep(0.02)  # ten times what a message takes; how many are on their way nobody knows


async def test_everybody_hears_a_message(bulletin: Bulletin) -> None:
    first, second = await listening(bulletin, "keys"), await listening(bulletin, "keys")
    await until_quiet(first)
    await bulletin.publish("keys", "kéy 1")
    await until(lambda: first == second == ["kéy 1"])


async def test_messages_come_in_their_order(bulletin: Bulletin) -> None:
    heard = await listening(bulletin, "keys")
    said = [str(number) for number in range(50)]
    for text in said:
        await bulletin.publish("keys", text)
    await until(lambda: heard == said)


async def test_other_topics_are_not_heard(bulletin: Bulletin) -> None:
    keys, prices = await listening(bulletin, "keys"), await listening(bulletin, "prices")
    await bulletin.publish("prices", "1")
    await until(lambda: prices == ["1"])
    assert keys == []


async def test_a_listener_that_fails_is_reported_and_others_hear(bulletin: Bulletin, failures: Failures) -> None:
    def fail(text: str) -> None:
        raise ValueError(text)

    bulletin.listen("keys", fail)
    heard = await listening(bulletin, "keys")
    failures.clear()
    await bulletin.publish("keys", "1")
    await until(lambda: heard == ["1"])
    assert failures == [("listener to keys", "1")]


async def test_nobody_hears_after_closing(bulletin: Bulletin) -> None:
    heard = await listening(bulletin, "keys")
    await bulletin.aclose()
    await bulletin.publish("keys", "1")
    await asyncio.sleep(0.02)  # ten times what a message takes: what must not come cannot be waited for
    assert heard == []


@pytest.mark.timed
async def test_another_process_hears_within_100_ms(valkey: Server, connect: Connect, post: Post) -> None:
    here, there = post(await connect(valkey.url)), post(await connect(valkey.url))
    heard = await listening(there, "keys")
    begun = time.monotonic()
    await here.publish("keys", "1")
    await until(lambda: heard == ["1"])
    within(time.monotonic() - begun, 0.1)


async def test_another_node_of_a_cluster_hears(valkey_cluster: ValkeyCluster, connect: Connect, post: Post) -> None:
    here, there = post(await connect(valkey_cluster.url)), post(await connect(valkey_cluster.url, prefix="far:"))
    heard = await listening(there, "keys")
    await here.publish("keys", "1")
    await until(lambda: heard == ["1"])


@pytest.mark.timed
async def test_a_listener_hears_again_after_a_restart(valkey: Server, connect: Connect, post: Post) -> None:
    client = await connect(valkey.url)
    bulletin = post(client)
    heard = await listening(bulletin, "keys")
    valkey.kill()
    valkey.restart()
    begun = time.monotonic()
    assert await listening(bulletin, "keys") == []
    within(time.monotonic() - begun, 2)
    heard.clear()
    await bulletin.publish("keys", "1")
    await until(lambda: heard == ["1"])


async def test_a_line_that_is_dead_without_a_word_is_replaced(valkey: Server, connect: Connect, post: Post) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url)
        bulletin = post(client, silent_s=0.2)
        await listening(bulletin, "keys")
        line.mute()
        await listening(bulletin, "keys")
        await bulletin.aclose()
        await client.aclose()


async def test_a_line_that_is_only_quiet_is_kept(valkey: Server, connect: Connect, post: Post) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url)
        bulletin = post(client, silent_s=0.5)
        await listening(bulletin, "keys")
        before = line.accepted
        await asyncio.sleep(1.2)  # more than twice the silence after which a line is asked
        assert line.accepted == before
        await bulletin.aclose()
        await client.aclose()


async def test_publishing_without_a_store_says_so(valkey: Server, connect: Connect, post: Post) -> None:
    bulletin = post(await connect(valkey.url))
    valkey.kill()
    with pytest.raises(StoreUnavailable):
        await bulletin.publish("keys", "1")


async def test_closing_lets_go_of_the_line(valkey: Server, connect: Connect, post: Post) -> None:
    client = await connect(valkey.url)
    bulletin = post(client)
    await listening(bulletin, "keys")
    assert valkey.info("pubsub_clients") == "1"
    await bulletin.aclose()
    await until(lambda: valkey.info("pubsub_clients") == "0")
