"""Calls to a real server: they end in time whatever it does, and come back when it does."""

import asyncio
import itertools
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from llm_service.storage import AddressError, StoreUnavailable, ValkeyClient, parse_store_url
from tests.support.clock import ManualClock
from tests.support.timed import within
from tests.support.valkey import Server, SlowLine, ValkeyCluster, single
from tests.support.waiting import loop_turns, until
from tests.unit.storage.conftest import Connect, failed

COUNT = "return redis.call('INCR', KEYS[1])"
KEY = "llm:{adm}:count"


async def count(client: ValkeyClient) -> int:
    return int(await client.run(COUNT, [KEY], []))


async def refused(client: ValkeyClient) -> tuple[str, float]:
    """Why a call failed, and how long that took in seconds."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable) as failure:
        await count(client)
    return str(failure.value), time.monotonic() - begun


def is_up(client: ValkeyClient) -> Callable[[], bool]:
    return lambda: client.state.up


async def back_after(client: ValkeyClient) -> float:
    """Seconds until it is up."""
    begun = time.monotonic()
    await until(is_up(client))
    return time.monotonic() - begun


async def test_a_script_gets_its_keys_and_arguments_and_nothing_else(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    found = await client.run("return {#KEYS, KEYS[1], #ARGV, ARGV[1], ARGV[2], false}", [KEY], ["a", 7])
    assert found == [1, KEY.encode(), 2, b"a", b"7", None]


async def test_a_script_may_have_neither_keys_nor_arguments(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    assert await client.run("return {#KEYS, #ARGV}", [], []) == [0, 0]


async def test_a_script_that_the_server_forgot_is_sent_again(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    assert await count(client) == 1
    valkey.ask("SCRIPT", "FLUSH")
    assert await count(client) == 2
    assert client.state.up


async def test_a_unix_socket_is_reached(valkey_on_socket: Server, connect: Connect) -> None:
    assert await count(await connect(valkey_on_socket.url)) >= 1


async def test_a_cluster_is_reached_by_any_of_its_nodes(valkey_cluster: ValkeyCluster, connect: Connect) -> None:
    nodes = [f"redis+cluster://127.0.0.1:{node.port}" for node in valkey_cluster.nodes]
    assert [await count(await connect(url)) for url in nodes] == [1, 2, 3]
    assert valkey_cluster.owner(KEY).ask("GET", KEY) == b"3"


async def test_tls_is_accepted_from_the_given_authority(
    valkey_tls: SlowLine, valkey_certificates: Path, connect: Connect
) -> None:
    client = await connect(f"rediss://localhost:{valkey_tls.port}?ca_file={valkey_certificates}/ca.pem")
    assert await count(client) == 1
    await client.aclose()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_is_verified(valkey_tls: SlowLine, valkey_certificates: Path, connect: Connect, host: str) -> None:
    """By the system's authorities for localhost, and for the name: the certificate is not for an address."""
    given = f"?ca_file={valkey_certificates}/ca.pem" if host == "127.0.0.1" else ""
    client = await connect(f"rediss://{host}:{valkey_tls.port}{given}")
    assert client.state.cause == "the store's certificate is not accepted"
    await client.aclose()


def test_a_missing_file_for_tls_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    address = parse_store_url(f"rediss://localhost?ca_file={tmp_path}/none.pem")
    with pytest.raises(AddressError, match="cannot be used: No such file"):
        ValkeyClient(address, prefix="", clock=None, source=None, on_failure=None)  # type: ignore[arg-type]


async def test_a_password_is_needed_and_right(tmp_path: Path, connect: Connect) -> None:
    with single(tmp_path, password="c4n4ry") as server:
        assert await count(await connect(server.url)) == 1
        without = await connect(server.url.replace(":c4n4ry@", ""))
        wrong = await connect(server.url.replace("c4n4ry", "other"))
    assert without.state.cause == "the store wants a password, and the address has none"
    assert wrong.state.cause == "the store refuses the user name or password"


async def test_a_password_is_replaced_while_both_are_taken(tmp_path: Path, connect: Connect) -> None:
    """Connections that are open go on with the old one, too."""
    with single(tmp_path, password="c4n4ry") as server:
        former = await connect(server.url)
        server.ask("ACL", "SETUSER", "default", ">n3w-c4n4ry")
        changed = await connect(server.url.replace("c4n4ry", "n3w-c4n4ry"))
        assert [await count(former), await count(changed)] == [1, 2]
        server.ask("ACL", "SETUSER", "default", "<c4n4ry")
        assert [await count(former), await count(changed)] == [3, 4]
        late = await connect(server.url)
    assert late.state.cause == "the store refuses the user name or password"


async def test_a_database_is_selected(valkey: Server, connect: Connect) -> None:
    await count(await connect(f"{valkey.url}/3"))
    assert valkey.ask("GET", KEY) is None


async def rounds(client: ValkeyClient, server: Server) -> AsyncIterator[None]:
    """Three times with a frozen server: what is measured holds for the fastest, as the machine has other work too."""
    for _ in range(3):
        await until(is_up(client))
        await count(client)
        server.freeze()
        yield
        server.thaw()


@pytest.mark.timed
async def test_a_frozen_server_costs_one_deadline_and_then_nothing(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, deadline_s=0.1)
    took = []
    async for _ in rounds(client, valkey):
        cause, seconds = await refused(client)
        assert cause == "the store did not answer in time"
        took.append(seconds)
        assert min([(await refused(client))[1] for _ in range(20)]) < 0.005
    within(min(took), 0.15)


async def test_many_calls_to_a_frozen_server_all_end_in_time(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, deadline_s=0.1, max_connections=4)

    async def slowest() -> float:
        return max(seconds for _, seconds in await asyncio.gather(*(refused(client) for _ in range(200))))

    assert min([await slowest() async for _ in rounds(client, valkey)]) < 0.3


async def test_a_thawed_server_is_used_again(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, deadline_s=0.1)
    valkey.freeze()
    await refused(client)
    valkey.thaw()
    assert await back_after(client) < 2
    assert client.state.cause is None


async def test_what_a_frozen_server_did_later_is_done_once(valkey: Server, connect: Connect) -> None:
    """A call that timed out may have been done; no call is done twice."""
    client = await connect(valkey.url)
    await count(client)
    valkey.freeze()
    await refused(client)
    valkey.thaw()
    await until(is_up(client))
    assert await count(client) in {2, 3}


async def test_a_killed_server_is_used_again_once_it_is_back(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    await count(client)
    valkey.kill()
    assert (await refused(client))[0] in {"the store closed the connection", "the store refuses connections"}
    await until(lambda: client.state.cause == "the store refuses connections")
    valkey.restart()
    assert await back_after(client) < 2
    assert await count(client) == 1


async def test_the_service_starts_while_the_server_is_away(valkey: Server, connect: Connect) -> None:
    valkey.kill()
    client = await connect(valkey.url)
    assert (client.state.up, client.run_id) == (False, "")
    assert (await refused(client))[1] < 0.01
    valkey.restart()
    assert await back_after(client) < 2
    assert client.run_id


@pytest.mark.timed
async def test_a_silent_line_costs_one_deadline(connect: Connect) -> None:
    """What accepts connections and never answers: connecting is part of the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        client = await connect(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        assert not client.state.up
        within(time.monotonic() - begun, 1)
        await client.aclose()


OUTAGES = {
    "the store is a replica and takes no writes": Server.make_replica,
    "the store has too few replicas and takes no writes": Server.make_read_only,
    "the store is full (maxmemory)": Server.fill,
}


@pytest.mark.parametrize("cause", OUTAGES)
async def test_a_server_that_takes_no_writes_is_out_until_it_does(valkey: Server, connect: Connect, cause: str) -> None:
    client = await connect(valkey.url)
    await count(client)
    OUTAGES[cause](valkey)
    assert (await refused(client))[0] == cause
    probes = [client.state]
    with suppress(TimeoutError):
        await until(lambda: probes.append(client.state) or client.state.up, within_s=0.6)
    assert {(probe.up, probe.cause) for probe in probes} == {(False, cause)}
    valkey.restore()
    assert await back_after(client) < 2


async def test_a_full_server_does_no_part_of_a_script(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    valkey.ask("SET", "llm:{adm}:kept", "1")
    valkey.fill()
    with pytest.raises(StoreUnavailable):
        await client.run("redis.call('DEL', KEYS[1]); redis.call('SET', KEYS[1], 2)", ["llm:{adm}:kept"], [])
    assert valkey.ask("GET", "llm:{adm}:kept") == b"1"


async def test_a_slow_server_stays_out_while_it_is_slow(valkey: Server, connect: Connect) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url, deadline_s=0.1)
        await count(client)
        line.delay_s = 0.15
        assert (await refused(client))[0] == "the store did not answer in time"
        with pytest.raises(TimeoutError):
            await until(is_up(client), within_s=0.8)
        line.delay_s = 0.0
        assert await back_after(client) < 2
        await client.aclose()


async def test_a_cut_line_fails_one_call_and_no_more(valkey: Server, connect: Connect) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url)
        line.delay_s = 0.05
        call = asyncio.create_task(refused(client))
        await until(lambda: line.held)
        line.cut()
        line.delay_s = 0.0
        assert (await call)[0] == "the store closed the connection"
        assert await back_after(client) < 0.5
        await client.aclose()


async def test_a_line_that_was_closed_while_idle_fails_nothing(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    await count(client)
    valkey.ask("CLIENT", "KILL", "TYPE", "normal")
    await asyncio.sleep(0.01)  # the end of a connection comes with nothing that could be waited for
    assert await count(client) == 2


async def test_a_napping_server_is_used_again(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, deadline_s=0.1)
    valkey.nap(0.3)
    await refused(client)
    assert await back_after(client) < 2


async def test_the_mistake_of_a_script_is_not_an_outage(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    with pytest.raises(StoreUnavailable, match="does not do as asked"):
        await client.run("return redis.call('HGET', KEYS[1], 'a', 'b', 'c')", [KEY], [])
    assert client.state.up


async def test_our_own_mistake_is_not_the_stores(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    with pytest.raises(Exception, match="Invalid input of type"):
        await client.run(COUNT, [KEY], [object()])  # type: ignore[list-item]
    assert client.state.up
    assert await count(client) == 1


async def test_a_call_that_is_cancelled_takes_its_answer_along(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, max_connections=1)
    async with SlowLine(valkey.port) as line:
        slow = await connect(line.url, max_connections=1)
        line.delay_s = 0.03
        call = asyncio.create_task(slow.run("return 'not yours'", [], []))
        await until(lambda: line.held)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        line.delay_s = 0.0
        assert await slow.run("return 'yours'", [], []) == b"yours"
        assert slow.state.up
        await slow.aclose()
    assert client.state.up


async def all_at_once(client: ValkeyClient, calls: int) -> Sequence[int]:
    return await asyncio.gather(*(count(client) for _ in range(calls)))


async def test_connections_are_bounded(valkey: Server, connect: Connect) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url, deadline_s=10, max_connections=8)
        assert sorted(await all_at_once(client, 200)) == list(range(1, 201))
        assert line.most <= 8
        await client.aclose()


async def test_connections_are_bounded_on_a_cluster(valkey_cluster: ValkeyCluster, connect: Connect) -> None:
    client = await connect(valkey_cluster.url, deadline_s=10, max_connections=8)
    assert sorted(await all_at_once(client, 200)) == list(range(1, 201))
    assert int(valkey_cluster.owner(KEY).info("connected_clients")) <= 8 + 1


async def test_who_waits_for_a_connection_waits_as_long_as_the_store_answers(valkey: Server, connect: Connect) -> None:
    """Else a burst of requests would make each process keep the limits by itself, and admit them once more."""
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url, deadline_s=0.1, max_connections=1)
        await count(client)
        line.delay_s = 0.06
        assert await asyncio.gather(*(count(client) for _ in range(4))) == [2, 3, 4, 5]
        assert client.state.up
        await client.aclose()


async def test_a_busy_event_loop_is_no_outage_of_the_store(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url, deadline_s=0.02)
    loop = asyncio.get_running_loop()
    calls = asyncio.gather(*(count(client) for _ in range(8)))
    for _ in range(4):
        loop.call_soon(time.sleep, 0.03)  # longer than the deadline
        await loop_turns()
    assert sorted(await calls) == [*range(1, 9)]


async def test_listeners_hear_of_changes(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    heard: list[bool] = []
    client.on_change(heard.append)
    since = client.state.since
    valkey.freeze()
    await asyncio.gather(*(refused(client) for _ in range(20)))
    valkey.thaw()
    await until(is_up(client))
    assert heard == [False, True]
    assert client.state.since > since


async def test_a_failure_of_before_the_store_came_back_says_nothing_about_it(valkey: Server, connect: Connect) -> None:
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url, deadline_s=0.2, max_connections=2)
        await asyncio.gather(count(client), count(client))
        heard: list[bool] = []
        client.on_change(heard.append)
        line.mute()
        first = asyncio.create_task(refused(client))
        await asyncio.sleep(0.1)  # so that it has half of its deadline left when the first has none
        late = asyncio.create_task(refused(client))
        await asyncio.gather(first, late)
        await until(is_up(client))
        assert await count(client) == 3
        assert heard == [False, True]
        await client.aclose()


async def test_a_store_that_may_evict_is_warned_of(valkey: Server, connect: Connect) -> None:
    valkey.set("maxmemory-policy", "allkeys-lru")
    warned = (await connect(valkey.url)).state.warning
    assert warned is not None
    assert "noeviction" in warned
    valkey.set("maxmemory-policy", "noeviction")
    assert (await connect(valkey.url)).state.warning is None


async def test_a_closed_client_fails_at_once(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    await client.aclose()
    assert (await refused(client))[0] == "the service is ending"
    await until(lambda: valkey.info("connected_clients") == "1")


async def test_probes_come_one_at_a_time_and_every_quarter_of_a_second() -> None:
    """By a clock that stands still between them, so that none comes in between."""
    clock = ManualClock()
    probes: list[float] = []

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probes.append(clock.monotonic())
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = parse_store_url(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client = ValkeyClient(address, prefix="", clock=clock, source=random.Random(1), on_failure=failed)
    await client.start()
    await until(lambda: len(probes) == 2)  # the second begins the watch
    for number in range(3, 9):
        await until(lambda: clock.timers == 1)
        while clock.timers:
            clock.advance(0.01)
        await until(lambda wanted=number: len(probes) == wanted)
    pauses = [after - before for before, after in itertools.pairwise(probes[1:])]
    assert all(0.2 <= pause <= 0.31 for pause in pauses)
    assert len({round(pause, 2) for pause in pauses}) > 1
    await client.aclose()
    server.close()
