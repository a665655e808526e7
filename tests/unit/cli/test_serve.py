"""``serve`` refuses what it cannot do before it listens, says why, and leaves nothing behind."""

import fcntl
import socket
from pathlib import Path

import pytest

from llm_service.cli.serve import Run, address_of, banner
from llm_service.config import load_settings
from llm_service.runtime import Terminal
from llm_service.supervisor import first_edition
from tests.support.clock import ManualClock
from tests.unit.cli.conftest import Command

NO_PROVIDER = "No provider is configured. Set OPENROUTER_API_KEY or DEEPSEEK_API_KEY"
REFUSALS = {
    "no provider": (["--sandbox", "off"], {}, NO_PROVIDER),
    "another address": (["--host", "0.0.0.0"], {}, "--host: server.host is not a loopback address"),
    "a name that may be anything": (["--host", "my-host"], {}, "needs auth.admin_key"),
    "keys for all and none for the admin": ([], {"LLM_SERVICE_AUTH__REQUIRED": "always"}, "needs auth.admin_key"),
    "an empty key": ([], {"OPENROUTER_API_KEY": ""}, "OPENROUTER_API_KEY: is set but empty"),
    "a misspelt variable": (
        [],
        {"LLM_SERVICE_SERVER__PROT": "1"},
        "LLM_SERVICE_SERVER__PROT: is unknown; did you mean LLM_SERVICE_SERVER__PORT?",
    ),
    "a port that is none": (["--port", "http"], {}, "--port: "),
    "a port beyond the last": (["--port", "65536"], {}, "--port: "),
    "a mode that is none": (["--sandbox", "maybe"], {}, "--sandbox: "),
    "a file that is not there": (["--config", "nowhere.yaml"], {}, "nowhere.yaml: "),
    "an address of another machine": (
        ["--host", "192.0.2.1"],
        {"LLM_SERVICE_AUTH__ADMIN_KEY": "sk-test-admin", "LLM_SERVICE_SANDBOX": "on"},
        "Cannot listen on 192.0.2.1:8080: ",
    ),
}


@pytest.mark.parametrize(("options", "variables", "reason"), REFUSALS.values(), ids=list(REFUSALS))
def test_it_refuses_with_the_reason(
    command: Command, options: list[str], variables: dict[str, str], reason: str
) -> None:
    refused = command("serve", *options, **variables)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert reason in refused.stderr


def test_programs_get_the_reason_as_json(command: Command) -> None:
    refused = command("serve", "--sandbox", "off", "--json")
    mistaken = command("serve", "--port", "http", "--json")
    assert (refused.exit_code, refused.stderr, mistaken.exit_code, mistaken.stderr) == (2, "", 2, "")
    assert '"error": "No provider is configured.' in refused.stdout
    assert '"place": "--port"' in mistaken.stdout


def test_a_taken_port_is_refused_and_the_data_directory_let_go(command: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = command("serve", "--port", str(port))
    assert refused.exit_code == 2
    assert f"127.0.0.1:{port} is in use" in refused.stderr
    with (tmp_path / ".local/state/llm-service/sandbox/lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_held_data_directory_is_refused_with_the_holder(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "sandbox"
    folder.mkdir(parents=True, mode=0o700)
    with (folder / "lock").open("wb") as lock:
        lock.write(b"4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refused = command("serve", "--port", "0", "--data-dir", "data")
    assert refused.exit_code == 2
    assert f"the data directory {folder} is in use by the service with process id 4711" in refused.stderr


def test_a_data_directory_that_is_a_file_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    refused = command("serve", "--data-dir", "data")
    assert refused.exit_code == 2
    assert f"the data directory {tmp_path / 'data' / 'sandbox'} cannot be used" in refused.stderr


def test_a_refusal_leaves_nothing_in_the_folder(command: Command, tmp_path: Path) -> None:
    command("serve", "--sandbox", "off")
    assert list(tmp_path.iterdir()) == []


def test_the_banner_says_simulated_only_of_what_is() -> None:
    real = banner("http://127.0.0.1:1", ["first", "second"], sandboxed=False)
    assert real == "llm-service on http://127.0.0.1:1  (docs: http://127.0.0.1:1/docs)\nproviders: first, second"
    assert "SANDBOX: these providers are simulated" in banner("http://127.0.0.1:1", ["first"], sandboxed=True)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    with socket.socket(socket.AF_INET6) as listening:
        listening.bind(("::1", 0))
        assert address_of(listening) == f"http://[::1]:{listening.getsockname()[1]}"


class Lines:
    """A log that keeps the names of its lines."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_: object) -> None:
        self.events.append(event)

    warning = info


@pytest.mark.parametrize(("root", "said"), [(True, ["serving", "running as root"]), (False, ["serving"])])
def test_root_is_told_once_that_it_need_not_be(
    root: bool, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_service.cli.serve.is_root", lambda: root)
    log, clock = Lines(), ManualClock()
    loaded = load_settings(path=None, environ={}, cwd=tmp_path, overrides={})
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        run = Run(
            first=first_edition(loaded, clock),
            read=lambda: loaded,
            listening=[listening],
            sandboxed=True,
            as_json=True,
            clock=clock,
            terminal=Terminal(),
            data_dir=tmp_path,
        )
        run.announce(log)  # type: ignore[arg-type]
    assert log.events == said
