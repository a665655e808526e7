"""``sandbox`` listens on this machine alone, and says why when it cannot."""

import socket

import orjson
import pytest

from tests.unit.cli.conftest import Command


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "llm.example.com"])
def test_other_addresses_are_refused(command: Command, host: str) -> None:
    refused = command("sandbox", "--host", host)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "loopback only" in refused.stderr


@pytest.mark.parametrize("port", ["65536", "99999", "-1"])
def test_a_port_that_there_is_not_is_refused(command: Command, port: str) -> None:
    refused = command("sandbox", "--port", port, "--json")
    assert refused.exit_code == 2
    assert orjson.loads(refused.stdout)["error"] == f"--port must be from 0 to 65535, not {port}."


def test_a_taken_port_is_refused_with_what_to_do(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = command("sandbox", "--port", str(port), "--json")
    assert refused.exit_code == 2
    assert orjson.loads(refused.stdout)["error"] == (
        f"127.0.0.1:{port} is in use: stop what listens there, or choose another port with --port."
    )
