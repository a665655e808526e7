"""The program as a process: when it starts, when it refuses, what it costs, and how it says so."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from llm_service.sandbox import Sandbox
from tests.support.evidence import Evidence
from tests.support.process import Place, Serving, after, child, executed_place, run, seen_place, serving
from tests.support.rest import Answer, ask, chat_body
from tests.support.timed import within

CHAT = "/v1/chat/completions"
ADMIN_KEY = "sk-test-admin-key-of-a-process"
# Root may write everywhere, whatever the modes say, until it drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (Linux).
OBEYING_MODES = "import ctypes; [ctypes.CDLL(None).prctl(24, capability) for capability in (1, 2)]"
IN_NO_FOLDER = "import tempfile; os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """What ``llm-service serve`` becomes where nothing is configured."""
    with serving(seen_place(tmp_path_factory.mktemp("simulated"))) as service:
        yield service


# -- sandbox mode


async def test_without_a_provider_it_is_a_sandbox_and_says_so_everywhere(simulated: Serving) -> None:
    health = await ask(simulated.address, "GET", "/health")
    answer = await ask(simulated.address, "POST", CHAT, chat_body("deepseek/deepseek-flash"))
    assert simulated.banner["sandbox"] is True
    assert simulated.banner["providers"] == ["deepseek", "openai", "openrouter"]
    assert health.json()["sandbox"] is True
    assert "DEEPSEEK_API_KEY" in health.json()["sandbox_note"]
    assert answer.status == 200
    assert (health.headers["x-llm-sandbox"], answer.headers["x-llm-sandbox"]) == ("true", "true")


def test_the_banner_tells_people_that_nothing_is_real_and_what_would_be(tmp_path: Path) -> None:
    with child(seen_place(tmp_path), "serve", "--port", "0") as service:
        said = service.out.until_said("configuration file.")
    assert "llm-service on http://127.0.0.1:" in said
    assert "SANDBOX" in said
    assert "OPENROUTER_API_KEY or DEEPSEEK_API_KEY" in said


async def test_a_configured_provider_is_never_joined_by_simulated_ones(tmp_path: Path, sandbox: Sandbox) -> None:
    key = {"DEEPSEEK_API_KEY": "sk-test-0123456789", "DEEPSEEK_BASE_URL": f"{sandbox.address}/deepseek"}
    with serving(seen_place(tmp_path, **key)) as service:
        health = await ask(service.address, "GET", "/health")
        answer = await ask(service.address, "POST", CHAT, chat_body("deepseek/deepseek-flash"))
    assert (service.banner["sandbox"], service.banner["providers"]) == (False, ["deepseek"])
    assert health.json()["sandbox"] is False
    assert "x-llm-sandbox" not in health.headers | answer.headers
    asked = [request["provider"] for request in sandbox.requests() if request["method"] == "POST"]
    assert asked == ["deepseek"]


def test_a_configuration_file_without_a_provider_is_refused_and_not_simulated(tmp_path: Path) -> None:
    (tmp_path / "llm-service.yaml").write_text("observability: {log_level: info}\n")
    refused = run(seen_place(tmp_path), "serve", "--port", "0")
    assert (refused.code, refused.out) == (2, "")
    assert "No provider is configured" in refused.err
    assert "--sandbox on" in refused.err


async def test_the_sandbox_that_is_asked_for_stands_in_for_configured_providers(tmp_path: Path) -> None:
    configured = {"LLM_SERVICE_PROVIDERS": '{"mine": {"base_url": "http://127.0.0.1:9/v1", "api_key": "sk-test"}}'}
    with serving(seen_place(tmp_path, **configured), "--sandbox", "on") as service:
        answer = await ask(service.address, "POST", CHAT, chat_body("mine/sandbox/chat"))
    assert service.banner["sandbox"] is True
    assert (answer.status, answer.headers["x-llm-provider"]) == (200, "mine")


# -- where it starts


async def test_the_variables_that_kubernetes_sets_for_its_service_are_harmless(tmp_path: Path) -> None:
    address = "tcp://10.96.0.10:8080"
    injected = {
        "SERVICE_HOST": "10.96.0.10",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "PORT": address,
        "PORT_8080_TCP": address,
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.96.0.10",
    }
    with serving(seen_place(tmp_path, **{f"LLM_SERVICE_{name}": value for name, value in injected.items()})) as service:
        answer = await ask(service.address, "GET", "/health")
        noted = [line for line in service.log() if line["event"] == "configuration"]
    assert answer.json()["status"] == "ok"
    assert urlsplit(service.address).hostname == "127.0.0.1"
    assert noted == []


def test_it_starts_from_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    where = seen_place(folder, XDG_STATE_HOME=str(tmp_path / "state"))
    with serving(replace(where, launcher=after(OBEYING_MODES))) as service:
        assert get(service.address, "/health/ready") == 200
    assert list(folder.iterdir()) == []
    assert (tmp_path / "state" / "llm-service" / "sandbox").is_dir()


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    refused = run(replace(seen_place(tmp_path), launcher=after(IN_NO_FOLDER)), "serve", "--port", "0")
    assert refused.code == 2
    assert "working directory" in refused.err


def test_a_data_directory_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    where = replace(seen_place(tmp_path), launcher=after(OBEYING_MODES))
    refused = run(where, "serve", "--port", "0", "--data-dir", str(locked))
    assert refused.code == 2
    assert f"the data directory {locked}" in refused.err
    assert "server.data_dir" in refused.err
    assert "Traceback" not in refused.err


def test_two_services_never_share_a_data_directory(tmp_path: Path) -> None:
    with serving(seen_place(tmp_path)) as first:
        second = run(seen_place(tmp_path), "serve", "--port", "0")
        assert second.code == 2
        assert f"process id {first.pid}" in second.err
        first.child.signal(signal.SIGKILL)
        first.child.ended()
        with serving(seen_place(tmp_path)) as third:
            assert get(third.address, "/health/ready") == 200


def test_a_port_that_is_taken_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(seen_place(tmp_path), "serve", "--port", str(taken.getsockname()[1]))
    assert refused.code == 2
    assert "is in use" in refused.err
    assert "--port" in refused.err


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost"])
def test_every_address_of_this_machine_alone_needs_no_key(tmp_path: Path, host: str) -> None:
    with serving(seen_place(tmp_path), "--host", host) as service:
        assert service.banner["sandbox"] is True
        assert get(service.address, "/v1/models") == 200


def test_another_address_is_refused_without_an_admin_key(tmp_path: Path) -> None:
    refused = run(seen_place(tmp_path), "serve", "--host", "192.0.2.1", "--sandbox", "on")
    assert (refused.code, refused.out) == (2, "")
    assert "--host: server.host is not a loopback address" in refused.err
    assert "LLM_SERVICE_AUTH__ADMIN_KEY" in refused.err


# -- who may ask

FROM_ELSEWHERE = {
    "by another name of the host": {"Host": "llm.example.com"},
    "through a proxy": {"X-Forwarded-For": "192.0.2.7"},
    "through a proxy that keeps to RFC 7239": {"Forwarded": "for=192.0.2.7"},
    "from a page of another origin": {"Origin": "https://attacker.example"},
    "from a form": {"Content-Type": "text/plain"},
}


@pytest.mark.parametrize("headers", FROM_ELSEWHERE.values(), ids=list(FROM_ELSEWHERE))
async def test_without_a_key_only_this_machine_may_ask(simulated: Serving, headers: dict[str, str]) -> None:
    answer = await ask_chat(simulated, **headers)
    assert (answer.status, answer.json()["error"]["code"]) == (403, "not_local")
    assert re.search(r"auth\.admin_key|server\.allowed_origins|Content-Type", answer.json()["error"]["message"])


async def test_a_wrong_key_is_refused_even_where_none_is_needed(simulated: Serving) -> None:
    answer = await ask_chat(simulated, Authorization="Bearer sk-test-wrong")
    assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-test-wrong" not in answer.body.decode()


async def test_where_keys_are_required_only_health_is_open(tmp_path: Path) -> None:
    required = {"LLM_SERVICE_AUTH__REQUIRED": "always", "LLM_SERVICE_AUTH__ADMIN_KEY": ADMIN_KEY}
    with serving(seen_place(tmp_path, **required)) as service:
        paths = ("/health", "/health/live", "/health/ready", "/v1/models", "/docs", "/openapi.json")
        without = {path: get(service.address, path) for path in paths}
        with_key = await ask(service.address, "GET", "/v1/models", x_api_key=ADMIN_KEY)
        elsewhere = await ask_chat(service, Authorization=f"Bearer {ADMIN_KEY}", Host="llm.example.com")
    assert {path for path, status in without.items() if status == 200} == {"/health", "/health/live", "/health/ready"}
    assert {without[path] for path in ("/v1/models", "/docs", "/openapi.json")} == {401}
    assert (with_key.status, elsewhere.status) == (200, 200)


# -- what it costs


@pytest.mark.timed
def test_the_second_start_serves_its_first_byte_in_time(tmp_path: Path, evidence: Evidence) -> None:
    where = executed_place(tmp_path)
    starts = [started(where) for _ in range(2)]
    while min(starts[1:]) > 1.0 and len(starts) < 5:  # somebody else has the machine: measure again
        starts.append(started(where))
    best_s = min(starts[1:])
    print(f"from exec to the first byte: {best_s:.2f} s, the best of {len(starts) - 1}")
    evidence.record("start", title="Start of the service", figures={"second_start_s": round(best_s, 3)})
    within(best_s, 2.0)


@pytest.mark.parametrize("mode", ["sandbox", "provider"])
def test_an_idle_process_is_small(tmp_path: Path, mode: str, evidence: Evidence) -> None:
    key = {} if mode == "sandbox" else {"DEEPSEEK_API_KEY": "sk-test-0123456789"}
    with serving(executed_place(tmp_path, **key)) as service:
        assert get(service.address, "/health") == 200
        memory_mb = psutil.Process(service.pid).memory_info().rss / 1e6
    print(f"idle, {mode}: {memory_mb:.1f} MB")
    evidence.record(f"idle-memory-{mode}", title="Idle memory", figures={"resident_mb": round(memory_mb, 1)})
    assert memory_mb < 80


def started(where: Place) -> float:
    """Seconds from the start of a process to its first answer."""
    begun = time.perf_counter()
    with serving(where) as service:
        assert get(service.address, "/health") == 200
        return time.perf_counter() - begun


def get(address: str, path: str) -> int:
    """The status of an answer, from outside of any event loop."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


async def ask_chat(service: Serving, **headers: str) -> Answer:
    fields = {name.replace("-", "_"): value for name, value in headers.items()}
    return await ask(service.address, "POST", CHAT, chat_body("openai/sandbox/chat"), **fields)
