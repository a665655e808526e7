"""The identity of a store's memory: it changes with the memory, for all at once, before anything is counted in it."""

import asyncio

import pytest

from llm_service.storage import StoreUnavailable, ValkeyClient
from tests.support.valkey import SentinelSet, Server, SlowLine, ValkeyCluster
from tests.support.waiting import until, wait_until
from tests.unit.storage.conftest import Connect
from tests.unit.storage.test_valkey_client import COUNT, KEY, back_after, count, refused

OTHER = "the store's memory is another one than before (restart, failover or flush)"


async def changed(client: ValkeyClient, before: str) -> str:
    await until(lambda: client.state.up and client.run_id != before)
    return client.run_id


async def test_processes_that_share_a_store_agree_on_its_identity(valkey: Server, connect: Connect) -> None:
    first, second = await connect(valkey.url), await connect(valkey.url)
    assert first.run_id == second.run_id
    assert len(first.run_id) == 16


async def test_stores_of_other_prefixes_have_identities_of_their_own(valkey: Server, connect: Connect) -> None:
    assert (await connect(valkey.url)).run_id != (await connect(valkey.url, prefix="sandbox:")).run_id


async def test_a_flushed_store_has_another_identity_for_all(valkey: Server, connect: Connect) -> None:
    first, second = await connect(valkey.url), await connect(valkey.url)
    before = first.run_id
    valkey.flush()
    assert (await refused(first))[0] == OTHER
    after = await changed(first, before)
    assert (await refused(second))[0] == OTHER
    assert await changed(second, before) == after
    assert await count(second) == 1


async def test_a_restarted_store_has_another_identity_though_its_data_is_there(
    valkey: Server, connect: Connect
) -> None:
    """Its newest second may be lost, and nobody can tell."""
    client = await connect(valkey.url)
    before = client.run_id
    life = valkey.ask("GET", "llm:{adm}:life")
    valkey.restart()
    valkey.ask("SET", "llm:{adm}:life", life)
    with pytest.raises(StoreUnavailable):
        await count(client)
    assert await changed(client, before) != before
    assert await count(client) == 1


async def test_a_restart_behind_a_live_line_is_noticed_before_a_script_runs(valkey: Server, connect: Connect) -> None:
    """Through a proxy, a script could reach the new server with keys of the old one: the guard refuses it."""
    async with SlowLine(valkey.port) as line:
        client = await connect(line.url)
        line.delay_s = 0.02
        call = asyncio.create_task(refused(client))
        await until(lambda: line.held)
        valkey.flush()
        assert (await call)[0] == OTHER
        assert valkey.ask("GET", KEY) is None
        await client.aclose()


async def test_a_reign_that_ended_and_came_back_is_another_one(valkey: Server, connect: Connect) -> None:
    """The same process as replica and as primary again: what it was told in between is not what it knew."""
    client = await connect(valkey.url)
    before = client.run_id
    valkey.make_replica()
    await refused(client)
    valkey.ask("REPLICAOF", "NO", "ONE")
    assert await changed(client, before) != before


async def test_an_outage_alone_leaves_the_identity(valkey: Server, connect: Connect) -> None:
    client = await connect(valkey.url)
    before = client.run_id
    valkey.freeze()
    await refused(client)
    valkey.thaw()
    await back_after(client)
    assert client.run_id == before


async def test_a_slot_that_moved_to_another_node_is_followed(valkey_cluster: ValkeyCluster, connect: Connect) -> None:
    client = await connect(valkey_cluster.url)
    before = client.run_id
    owner = valkey_cluster.owner(KEY)
    other = next(node for node in valkey_cluster.nodes if node is not owner)
    valkey_cluster.move(KEY, to=other)
    try:
        assert (await refused(client))[0] in {"our slot has moved to another node of the cluster", OTHER}
        assert await back_after(client) < 2
        assert client.run_id != before
        assert await client.run(COUNT, [KEY], []) == 1
        assert other.ask("GET", KEY) == b"1"
    finally:
        valkey_cluster.move(KEY, to=owner)


async def test_a_cluster_without_its_owner_is_down_and_comes_back(
    valkey_cluster: ValkeyCluster, connect: Connect
) -> None:
    client = await connect(valkey_cluster.url)
    owner = valkey_cluster.owner(KEY)
    owner.freeze()
    assert (await refused(client))[1] < 0.6
    owner.thaw()
    assert await back_after(client) < 2


async def test_a_frozen_seed_does_not_keep_a_cluster_from_being_found(
    valkey_cluster: ValkeyCluster, connect: Connect
) -> None:
    owner = valkey_cluster.owner(KEY)
    frozen = next(node for node in valkey_cluster.nodes if node is not owner)
    frozen.freeze()
    assert (await connect(valkey_cluster.url)).state.up
    frozen.thaw()


async def test_sentinels_lead_to_the_new_primary(valkey_sentinels: SentinelSet, connect: Connect) -> None:
    wait_until(valkey_sentinels.is_whole)
    client = await connect(valkey_sentinels.url, deadline_s=0.3)
    before = client.run_id
    assert await count(client) >= 1
    primary, replica = valkey_sentinels.primary(), valkey_sentinels.replica()
    primary.freeze()
    assert (await refused(client))[1] < 0.6
    wait_until(lambda: valkey_sentinels.primary() is replica)
    assert await back_after(client) < 2
    assert client.run_id != before
    primary.thaw()
    assert await count(client) >= 1


async def test_a_service_that_the_sentinels_do_not_know_is_said(
    valkey_sentinels: SentinelSet, connect: Connect
) -> None:
    client = await connect(f"{valkey_sentinels.url}x")
    assert client.state.cause == "the sentinels do not know the service that the address names"
