"""The unit for systemd, and the page that leads to it: confined, patient enough, and right for the service."""

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_service.cli.app import app
from llm_service.config import Settings, load_settings
from llm_service.providers import TimeoutOptions
from llm_service.supervisor.supervise import LAST_S
from tests.support.deploy import CHECKOUT, DEPLOY, yaml

UNIT = DEPLOY / "systemd" / "llm-service.service"
USERS = DEPLOY / "systemd" / "llm-service.sysusers.conf"
PAGE = CHECKOUT / "docs" / "deploy" / "server.md"
FOLDER = "/etc/llm-service"
ANALYZE = shutil.which("systemd-analyze")
EXPOSED_AT_MOST = 15
"""In tenths, of 100."""

Section = Mapping[str, Sequence[str]]


def sections() -> Mapping[str, Section]:
    """Each section's directives with their values; one that is given again adds to them."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    current = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            current = match[1]
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert (equals, bool(current)) == ("=", True), line
            found[current][name].append(value)
    return found


SERVICE = sections()["Service"]


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


def settings_of(text: str, folder: Path) -> Settings:
    """What the service makes of a configuration, with secrets where it refers to them."""
    for name in re.findall(rf"file:{FOLDER}/(secrets/[\w-]+)", text):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"sk-test-{name}-0123456789-0123456789", encoding="utf-8")
    file = folder / "llm-service.yaml"
    file.write_text(text.replace(FOLDER, str(folder)), encoding="utf-8")
    found = load_settings(path=file, environ={}, cwd=folder, overrides={})
    assert found.notes == ()
    return found.settings


def once(name: str) -> str:
    (value,) = SERVICE[name]
    return value


def test_it_has_the_sections_and_no_directive_twice() -> None:
    assert [*sections()] == ["Unit", "Service", "Install"]
    twice = {name for section in sections().values() for name, values in section.items() if len(values) > 1}
    assert twice == {"SystemCallFilter"}


def test_it_starts_the_command_that_there_is_on_the_configuration_of_the_page() -> None:
    program, command, *arguments = shlex.split(once("ExecStart"))
    assert program == "/opt/llm-service/bin/llm-service"
    assert command in {one.name or (one.callback and one.callback.__name__) for one in app.registered_commands}
    assert arguments == ["--config", f"{FOLDER}/llm-service.yaml"]
    assert once("Environment") == "LLM_SERVICE_SANDBOX=off"
    assert once("ExecReload") == "/bin/kill -HUP $MAINPID"


def test_its_user_is_made_and_is_not_root() -> None:
    (line,) = (one for one in USERS.read_text(encoding="utf-8").splitlines() if not one.startswith("#"))
    kind, name, *_, home, shell = shlex.split(line)
    assert (kind, name, shell) == ("u", once("User"), "/usr/sbin/nologin")
    assert home == f"/var/lib/{once('StateDirectory')}"
    assert once("StateDirectoryMode") == "0700"


def test_it_is_confined() -> None:
    said = {name: values[0] for name, values in SERVICE.items() if len(values) == 1}
    assert said["ProtectSystem"] == "strict"
    assert (said["CapabilityBoundingSet"], said["AmbientCapabilities"]) == ("", "")
    assert {*said["RestrictAddressFamilies"].split()} == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert SERVICE["SystemCallFilter"] == ["@system-service", "~@privileged"]
    switches = {name for name, value in said.items() if value == "yes"}
    assert switches >= {
        *("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateUsers", "LockPersonality"),
        *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
        *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RemoveIPC"),
    }
    assert int(said["LimitNOFILE"]) >= 65536
    assert said["LimitCORE"] == "0"


def test_answers_and_records_may_finish_before_it_is_killed(tmp_path: Path) -> None:
    assert once("KillMode") == "mixed"
    patience_s = int(once("TimeoutStopSec"))
    for settings in (Settings(), settings_of(block("yaml"), tmp_path)):
        assert patience_s > settings.server.shutdown_grace_s + settings.ledger.shipping_grace_s + LAST_S
    for path in (DEPLOY / "configurations").glob("*.yaml"):
        assert yaml(path)["server"].get("shutdown_grace_s", 30) <= 30, path.name


def test_a_start_is_tried_again_for_as_long_as_it_takes() -> None:
    assert once("Restart") == "on-failure"
    assert sections()["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_the_configuration_of_the_page_is_right_and_asks_everybody_for_a_key(tmp_path: Path) -> None:
    settings = settings_of(block("yaml"), tmp_path)
    assert (settings.auth.required, settings.sandbox, settings.server.host) == ("always", "off", "127.0.0.1")
    assert settings.server.admin_port == 8081
    made = set(re.findall(r"secrets/([\w-]+)", block("yaml")))
    page = PAGE.read_text(encoding="utf-8")
    assert made == {*re.findall(r"for name in ([\w -]+);", page)[0].split(), "openrouter-key"}


def test_the_proxies_of_the_page_neither_buffer_nor_cut(tmp_path: Path) -> None:
    nginx, caddy = block("nginx"), block("caddy")
    server = settings_of(block("yaml"), tmp_path).server
    longest_s = TimeoutOptions().total_s
    assert all(
        f"{word} off;" in nginx for word in ("proxy_buffering", "proxy_request_buffering", "proxy_next_upstream")
    )
    assert "flush_interval -1" in caddy
    for text, name in ((nginx, "proxy_read_timeout"), (caddy, "response_header_timeout")):
        (waits_s,) = re.findall(rf"{name} (\d+)s", text)
        assert int(waits_s) > longest_s
        assert f"127.0.0.1:{server.port}" in text
    (size,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(size) << 20 >= server.max_body_bytes


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]+", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 3
    assert [name for name in named if not (CHECKOUT / name).exists()] == []


if ANALYZE is not None:  # a machine without systemd has the tests above

    def analyzed(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run((str(ANALYZE), *arguments), capture_output=True, text=True, check=False)

    def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
        unit = tmp_path / UNIT.name
        text = UNIT.read_text(encoding="utf-8").replace("/opt/llm-service/bin/llm-service", sys.executable)
        unit.write_text(text, encoding="utf-8")
        done = analyzed("verify", "--man=no", str(unit))
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        unit.write_text(text.replace("ProtectHome=", "ProtectHoome="), encoding="utf-8")
        assert "ProtectHoome" in analyzed("verify", "--man=no", str(unit)).stderr

    def test_systemd_finds_it_little_exposed() -> None:
        if "--offline" in analyzed("--help").stdout:  # since systemd 250
            done = analyzed("security", "--offline=yes", f"--threshold={EXPOSED_AT_MOST}", str(UNIT))
            assert done.returncode == 0, done.stdout
