"""Keys and secrets are replaced while callers go on: docs/operations/rotation.md, step by step.

Providers' keys: test_reload; certificates: test_ports; api keys: test_revocation and test_operators;
passwords of stores: tests/conformance/storage/test_postgres.py, tests/unit/storage/test_valkey_client.py.
"""

import signal
from pathlib import Path
from typing import Any

import orjson

from tests.support.process import Place, place, run, serving
from tests.support.rest import ask, chat_body
from tests.support.workers import said

MODEL = "deepseek/deepseek-flash"
OLD, NEW = "canary-hash-key-0123456789-old-0123456789", "canary-hash-key-0123456789-new-0123456789"
ADMIN_OLD, ADMIN_NEW = "canary-admin-key-0123456789-old", "canary-admin-key-0123456789-new"


def told(where: Place, *arguments: str) -> Any:
    done = run(where, *arguments, "--json")
    assert done.code == 0, done.out + done.err
    return done.json()


async def status(address: str, key: str, path: str = "/admin/keys") -> int:
    return (await ask(address, "GET", path, Authorization=f"Bearer {key}")).status


async def works(address: str, key: str) -> bool:
    answer = await ask(address, "POST", "/v1/chat/completions", chat_body(MODEL), Authorization=f"Bearer {key}")
    assert answer.status in (200, 401), answer.body
    return answer.status == 200


def hashed_with(folder: Path, *keys: str) -> Place:
    return place(folder, LLM_SERVICE_AUTH__HASH_KEY=orjson.dumps(keys).decode())


async def test_the_hash_key_is_replaced_in_three_restarts(tmp_path: Path) -> None:
    """What the steps leave out is refused, so that nobody takes them in another order."""
    first = told(hashed_with(tmp_path, OLD), "keys", "create", "n")
    with serving(hashed_with(tmp_path, OLD, NEW)) as service:
        assert await works(service.address, first["key"])
    rotating = hashed_with(tmp_path, NEW, OLD)
    with serving(rotating) as service:
        assert await works(service.address, first["key"])
        second = told(rotating, "keys", "rotate", first["id"])
        assert await works(service.address, second["key"])
    with serving(hashed_with(tmp_path, NEW)) as service:
        assert await works(service.address, second["key"])
        assert not await works(service.address, first["key"])
    refused = run(hashed_with(tmp_path, OLD), "keys", "create", "m")
    assert refused.code == 2
    assert "were hashed with another hash key" in refused.err


async def test_the_admin_key_is_replaced_by_a_reload(tmp_path: Path) -> None:
    """A key with the scope admin bridges the moment."""
    where, file = place(tmp_path), tmp_path / "llm-service.yaml"
    file.write_text(f"sandbox: on\nauth: {{admin_key: {ADMIN_OLD}}}\n")
    with serving(where) as service:
        bridge = told(where, "keys", "create", "bridge", "--scope", "admin")["key"]
        assert [await status(service.address, key) for key in (ADMIN_OLD, ADMIN_NEW, bridge)] == [200, 401, 200]
        file.write_text(f"sandbox: on\nauth: {{admin_key: {ADMIN_NEW}}}\n")
        service.child.signal(signal.SIGHUP)
        await said(service, "reloaded")
        assert [await status(service.address, key) for key in (ADMIN_OLD, ADMIN_NEW, bridge)] == [401, 200, 200]
