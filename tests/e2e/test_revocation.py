"""What happens to a key in one process takes effect in all of them: at once by message, soon without a store."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.deployment import (
    Deployment,
    administered,
    body,
    flood,
    machines,
    new_key,
    served_by,
)
from tests.support.postgres import PostgresServer
from tests.support.sockets import opened
from tests.support.timed import within
from tests.support.valkey import Server
from tests.support.waiting import until_answered

BY_MESSAGE_S = 1.0
BY_ASKING_S = 2.0


@pytest.fixture
async def deployment(tmp_path: Path, valkey: Server, postgres_server: PostgresServer) -> AsyncIterator[Deployment]:
    url = await postgres_server.new_database()
    models = {"quick": served_by("tokens-5+pace-0ms")}
    with machines(tmp_path, store_url=valkey.url, database_url=url, models=models) as made:
        yield made


async def status_at(address: str, key: str) -> int:
    (one,) = await flood([address], [body("quick")], key=key)
    return one.status


async def everywhere(deployment: Deployment, key: str) -> list[int]:
    return [await status_at(address, key) for address in deployment.addresses]


async def until_status(address: str, key: str, status: int) -> float:
    """Seconds until the key meets this status there."""
    begun_at = time.monotonic()

    async def met() -> bool:
        return await status_at(address, key) == status

    await until_answered(met, within_s=20)
    return time.monotonic() - begun_at


@pytest.mark.timed
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("with_store", "within_s"), [(True, BY_MESSAGE_S), (False, BY_ASKING_S)])
async def test_a_key_that_one_process_revokes_is_refused_by_the_other(
    deployment: Deployment, valkey: Server, with_store: bool, within_s: float
) -> None:
    one, other = deployment.addresses
    key_id, key = await new_key(one)
    assert await everywhere(deployment, key) == [200, 200]
    if not with_store:
        await asyncio.to_thread(valkey.kill)
        assert await everywhere(deployment, key) == [200, 200]
    await administered(one, "DELETE", f"/{key_id}")
    took_s = await until_status(other, key, 401)
    print({"with_store": with_store, "took_s": took_s})
    within(took_s, within_s)
    assert await everywhere(deployment, key) == [401, 401]


@pytest.mark.timeout(120)
async def test_a_rotated_key_s_former_secret_works_for_its_overlap_and_no_longer(deployment: Deployment) -> None:
    one, other = deployment.addresses
    key_id, former = await new_key(one)
    assert await everywhere(deployment, former) == [200, 200]
    latter = (await administered(one, "POST", f"/{key_id}/rotate", overlap_s=2))["key"]
    rotated_at = time.monotonic()
    assert await everywhere(deployment, latter) == [200, 200]
    assert await everywhere(deployment, former) == [200, 200]
    await until_status(other, former, 401)
    assert 1 < time.monotonic() - rotated_at < 3.5
    assert await everywhere(deployment, latter) == [200, 200]
    assert await everywhere(deployment, former) == [401, 401]


@pytest.mark.timeout(120)
async def test_changed_limits_of_a_key_take_effect_everywhere(deployment: Deployment) -> None:
    one, other = deployment.addresses
    key_id, key = await new_key(one)
    assert await everywhere(deployment, key) == [200, 200]
    await administered(one, "PATCH", f"/{key_id}", requests_per_minute=1)
    assert await until_status(other, key, 429) < BY_MESSAGE_S
    assert await everywhere(deployment, key) == [429, 429]
    await administered(other, "PATCH", f"/{key_id}", requests_per_minute=1000)
    assert await until_status(one, key, 200) < BY_MESSAGE_S
    assert await everywhere(deployment, key) == [200, 200]


@pytest.mark.timed
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("with_store", "within_s"), [(True, BY_MESSAGE_S), (False, BY_ASKING_S)])
async def test_open_sockets_of_a_key_that_another_process_revokes_are_closed(
    deployment: Deployment, valkey: Server, with_store: bool, within_s: float
) -> None:
    one, other = deployment.addresses
    key_id, key = await new_key(one)
    by = {"x-api-key": key}
    async with opened(other, by) as idle, opened(other, by) as busy:
        await busy.create("a", model="quick", options={"credit": 1})
        await busy.until("chat.chunk", "a")
        if not with_store:
            await asyncio.to_thread(valkey.kill)
        revoked_at = time.monotonic()
        await administered(one, "DELETE", f"/{key_id}")
        codes = [await idle.closed(), await busy.closed()]
        took_s = time.monotonic() - revoked_at
    print({"with_store": with_store, "took_s": took_s})
    assert codes == [4401, 4401]
    assert busy.of("a")[-1]["error"]["code"] == "key_revoked"
    within(took_s, within_s)
