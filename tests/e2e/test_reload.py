"""SIGHUP: the whole service goes by the changed settings from the next request on, or it stays as it is."""

import asyncio
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import psutil
import pytest

from llm_service.sandbox import Sandbox
from tests.support.process import OWNING_ITS_TERMINAL, Serving, after, announced, child, place, serving
from tests.support.rest import ask, chat_body, connected, events_of
from tests.support.waiting import until_answered
from tests.support.workers import generations, healths, log_of, said, workers_of

CHAT = "/v1/chat/completions"
TWO_SECONDS = "openai/sandbox/tokens-40+pace-50ms"


@pytest.fixture(params=[1, 2], ids=["alone", "two workers"])
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def write(folder: Path, **parts: str) -> None:
    """The configuration file of simulated providers, with these parts as well."""
    text = "".join(f"{name}: {value}\n" for name, value in {"sandbox": "on", **parts}.items())
    (folder / "llm-service.yaml").write_text(text)


def model(name: str, of: str = "sandbox/chat") -> str:
    return f"{{{name}: {{deployments: [{{provider: openrouter, model: {of}}}]}}}}"


@contextmanager
def started(folder: Path, workers: int, *, executed: bool = False, **parts: str) -> Iterator[Serving]:
    write(folder, **parts)
    with serving(replace(place(folder), executed=executed), "--workers", str(workers)) as service:
        yield service


def reload(service: Serving, folder: Path, **parts: str) -> None:
    write(folder, **parts)
    service.child.signal(signal.SIGHUP)


async def answered(service: Serving, name: str) -> int:
    return (await ask(service.address, "POST", CHAT, chat_body(name))).status


# -- it takes effect


async def test_the_next_request_meets_the_changed_models_everywhere(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("old")) as service:
        before = await generations(service, workers=workers)
        reload(service, tmp_path, models=model("new"))
        done = await said(service, "reloaded")
        after = await generations(service, workers=workers)
        statuses = (
            {await answered(service, "new") for _ in range(8)},
            {await answered(service, "old") for _ in range(8)},
        )
    assert (before, after, done["generation"]) == ([1] * workers, [2] * workers, 2)
    assert statuses == ({200}, {404})


async def test_the_admin_route_reloads_every_worker_or_says_why_none(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("old")) as service:
        write(tmp_path, models=model("new"))
        done = await ask(service.address, "POST", "/admin/config/reload", b"{}")
        after = await generations(service, workers=workers)
        write(tmp_path, models="{new: {deployments: [{provider: nobody, model: m}]}}")
        refused = await ask(service.address, "POST", "/admin/config/reload", b"{}")
        status = await answered(service, "new")
        told = await until_answered(lambda: acts(service, count=3))
    assert (done.status, done.json()["generation"], after) == (200, 2, [2] * workers)
    assert (refused.status, "llm-service.yaml:2" in refused.json()["error"]["message"]) == (400, True)
    assert status == 200
    assert sorted((one["act"], one["outcome"], one["subject"]) for one in told) == [
        ("config.in_force", "done", "generation 2"),  # once, however many workers there are
        ("config.reload", "done", None),
        ("config.reload", "refused", None),
    ]  # fmt: skip


async def acts(service: Serving, *, count: int) -> list[dict[str, Any]]:
    """What the audit log has, as soon as it is so many."""
    told: list[dict[str, Any]] = (await ask(service.address, "GET", "/admin/audit")).json()["data"]
    return told if len(told) >= count else []


async def test_a_connection_that_is_kept_alive_meets_them_too(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("old")) as service:
        async with connected(service.address) as connection:
            before = (await connection.ask("GET", "/health")).json()
            reload(service, tmp_path, models=model("new"))
            await said(service, "reloaded")
            after = (await connection.ask("GET", "/health")).json()
            answer = await connection.ask("POST", CHAT, chat_body("new"))
    assert (before["config"]["generation"], after["config"]["generation"], answer.status) == (1, 2, 200)
    assert before["config"]["loaded_at"] < after["config"]["loaded_at"]
    assert before.get("worker") == after.get("worker")
    assert before["uptime_s"] <= after["uptime_s"]


async def test_a_changed_credential_is_used_at_once(tmp_path: Path, workers: int, sandbox: Sandbox) -> None:
    def provider(key: str) -> str:
        return f"{{deepseek: {{api_key: {key}, base_url: '{sandbox.address}/deepseek'}}}}"

    with started(tmp_path, workers, sandbox="off", providers=provider("sk-test-0001-old1")) as service:
        await answered(service, "deepseek/deepseek-flash")
        reload(service, tmp_path, sandbox="off", providers=provider("sk-test-0002-new2"))
        await said(service, "reloaded")
        for _ in range(6):
            await answered(service, "deepseek/deepseek-flash")
        log = service.child.err.text
    used = [
        str(request["headers"]["authorization"])[-4:] for request in sandbox.requests() if request["method"] == "POST"
    ]
    assert used == ["old1", *["new2"] * 6]
    assert "sk-test-000" not in log


async def test_the_level_of_the_log_changes_too(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, observability="{log_level: info}") as service:
        reload(service, tmp_path, observability="{log_level: error}")
        await said(service, "reloaded") if workers > 1 else await until_generation(service, 2)
        await answered(service, "openai/sandbox/chat")
        service.child.stop()
        service.child.err.all()
    assert [line for line in service.log() if line["event"] == "request"] == []


async def until_generation(service: Serving, number: int) -> None:
    async with asyncio.timeout(20):
        while (await generations(service, workers=1)) != [number]:
            pass


async def test_whoever_takes_a_dead_workers_place_goes_by_the_changed_settings(tmp_path: Path) -> None:
    with started(tmp_path, 2, models=model("old")) as service:
        reload(service, tmp_path, models=model("new"))
        await said(service, "reloaded")
        os.kill(workers_of(service)[1], signal.SIGKILL)
        await said(service, "worker ready", times=3)
        assert await generations(service, workers=2) == [2, 2]


async def test_many_reloads_at_once_become_few(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers) as service:
        for _ in range(10):
            service.child.signal(signal.SIGHUP)
        done = await said(service, "reloaded")
        reports = await healths(service, workers=workers)
    assert 2 <= done["generation"] <= 3  # the first can be done before the last has come
    assert all(report["config"]["generation"] >= 2 for report in reports.values())


# -- nobody is disturbed


async def test_a_running_stream_goes_on_by_the_settings_that_it_began_with(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("old", "sandbox/tokens-40+pace-50ms")) as service:
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, chat_body("old", stream=True))
            await connection.head()
            pieces = connection.pieces()
            begun = await anext(pieces)
            reload(service, tmp_path, models=model("new"))
            await said(service, "reloaded")
            assert await answered(service, "old") == 404
            events = events_of(begun + b"".join([piece async for piece in pieces]))
            again = await connection.ask("POST", CHAT, chat_body("new"))
    assert events[-1] == "[DONE]"
    assert len(events) > 40
    assert again.status == 200


async def test_a_stream_of_former_settings_finishes_at_a_shutdown(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers) as service:
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, chat_body(TWO_SECONDS, stream=True))
            await connection.head()
            pieces = connection.pieces()
            begun = await anext(pieces)
            for generation in (2, 3):
                reload(service, tmp_path)
                await said(service, "reloaded", times=generation - 1)
            service.child.signal(signal.SIGTERM)
            events = events_of(begun + b"".join([piece async for piece in pieces]))
        code = await asyncio.to_thread(service.child.ended)
    assert (events[-1], code) == ("[DONE]", 0)


async def test_the_grace_of_a_shutdown_bounds_streams_of_former_settings(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, server="{shutdown_grace_s: 0.3}") as service:
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, chat_body("openai/sandbox/tokens-100000+pace-50ms", stream=True))
            await connection.head()
            pieces = connection.pieces()
            begun = await anext(pieces)
            reload(service, tmp_path, server="{shutdown_grace_s: 0.3}", models=model("new"))
            await said(service, "reloaded")
            service.child.signal(signal.SIGTERM)
            events = events_of(begun + b"".join([piece async for piece in pieces]))
        code = await asyncio.to_thread(service.child.ended)
    assert (events[-1]["error"]["code"], code) == ("draining", 0)


async def test_of_two_hundred_requests_none_is_lost_to_reloads(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("always")) as service:

        async def ten(number: int) -> list[int]:
            async with connected(service.address) as connection:
                body = chat_body("always", stream=bool(number % 2))
                return [(await connection.ask("POST", CHAT, body)).status for _ in range(10)]

        asking = asyncio.gather(*(ten(number) for number in range(20)))
        reloads = 0
        while not asking.done() and reloads < 5:
            reload(service, tmp_path, models=model("always"))
            reloads += 1
            await said(service, "reloaded", times=reloads)
        statuses = [status for some in await asking for status in some]
        errors = [line for line in log_of(service) if line["level"] == "error"]
    assert statuses == [200] * 200
    assert reloads > 0
    assert errors == []


@pytest.mark.skipif(not Path("/dev/tty").exists(), reason="this system has no /dev/tty")
def test_the_end_of_the_terminal_is_the_end_of_the_service(tmp_path: Path, workers: int) -> None:
    ours, theirs = pty.openpty()
    where, said_to = place(tmp_path), tmp_path / "said"
    with said_to.open("wb") as file:
        command = (*after(OWNING_ITS_TERMINAL), *where.command("serve", "--port", "0", "--workers", str(workers)))
        process = subprocess.Popen(
            command, env=where.environment, cwd=tmp_path, stdin=theirs, stdout=file, stderr=file, start_new_session=True
        )
    try:
        os.close(theirs)
        while b'"serving"' not in said_to.read_bytes():
            assert process.poll() is None
        os.close(ours)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert b"reload" not in said_to.read_bytes()


# -- or nothing changes


async def test_an_invalid_file_changes_nothing_and_all_its_mistakes_are_told(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers, models=model("old")) as service:
        reload(service, tmp_path, models="{x: {deployments: [{provider: nobody, model: m}]}}", server="{prot: 1}")
        refused = await said(service, "reload refused")
        after = await generations(service, workers=workers)
        status = await answered(service, "old")
    assert (after, status, refused["generation"]) == ([1] * workers, 200, 1)
    places = [reason.split(": ")[0] for reason in refused["reasons"]]
    assert places == ["llm-service.yaml:2:39", "llm-service.yaml:3:10"]


RESTARTS = {
    "server.host": {"server": "{port: 0, host: 127.0.0.2}"},
    "server.port, server.workers": {"server": "{port: 1, workers: 3}"},
    "server.data_dir": {"server": "{port: 0, data_dir: elsewhere}"},
    "simulated providers": {"sandbox": "off", "providers": "{deepseek: {api_key: sk-test-1}}"},
}


@pytest.mark.parametrize(("named", "parts"), RESTARTS.items(), ids=list(RESTARTS))
async def test_what_takes_a_restart_is_refused_by_name(tmp_path: Path, named: str, parts: dict[str, str]) -> None:
    write(tmp_path, server="{port: 0}")
    with child(place(tmp_path), "serve", "--json") as started:
        service = Serving(started, announced(started))
        reload(service, tmp_path, **parts)
        refused = await said(service, "reload refused")
        assert await generations(service, workers=1) == [1]
    (reason,) = refused["reasons"]
    assert reason.startswith(named)
    assert "restart" in reason


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="this system has no prlimit(2)")
async def test_one_worker_that_cannot_build_keeps_all_at_what_they_have(tmp_path: Path) -> None:
    authority = f"{{deepseek: {{api_key: sk-test-1, ca_file: '{certifi.where()}'}}}}"
    plain = "{deepseek: {api_key: sk-test-1}}"
    with started(tmp_path, 2, executed=True, sandbox="off", providers=plain) as service:  # a fork has imported more
        starved = psutil.Process(workers_of(service)[2])
        before = starved.rlimit(psutil.RLIMIT_NOFILE)
        starved.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))  # it can open no further file, whichever it closes
        reload(service, tmp_path, sandbox="off", providers=authority)
        refused = await said(service, "reload refused")
        starved.rlimit(psutil.RLIMIT_NOFILE, before)
        kept = await generations(service, workers=2)
        service.child.signal(signal.SIGHUP)
        await said(service, "reloaded")
        after = await generations(service, workers=2)
    assert (kept, after) == ([1, 1], [2, 2])
    assert refused["reasons"][0].startswith("the service cannot be built: ")


async def test_a_worker_that_dies_in_a_reload_leaves_all_at_one_generation(tmp_path: Path) -> None:
    with started(tmp_path, 2) as service:
        async with AsyncExitStack() as held:
            stopped = psutil.Process(workers_of(service)[1])
            stopped.suspend()
            held.callback(lambda: stopped.is_running() and stopped.kill())
            service.child.signal(signal.SIGHUP)
            await said(service, "worker ready", times=2)
            stopped.kill()
            await said(service, "worker ready", times=3)
        after = await generations(service, workers=2)
    assert len(set(after)) == 1
