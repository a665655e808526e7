"""The balancers' configurations: the programs themselves take them as they ship, and their times fit the service's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_service.api import ServerOptions
from llm_service.api.server import IDLE_CONNECTION_S
from llm_service.providers import TimeoutOptions
from tests.support.fleet.balancer import HAPROXY_USER, PROXY, changed, sysctls
from tests.support.valkey import make_certificates

NGINX, HAPROXY = PROXY / "nginx.conf", PROXY / "haproxy.cfg"
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(path: Path, setting: str) -> int:
    """The value of a setting that stands there once."""
    (found,) = re.findall(rf"^ *{setting} (\d+)([smh])", path.read_text(), re.MULTILINE)
    return int(found[0]) * UNITS[found[1]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tls.crt and tls.key, and tls.pem with both."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    for made, name in (("server.pem", "tls.crt"), ("server.key", "tls.key")):
        (folder / made).rename(folder / name)
    (folder / "tls.pem").write_text((folder / "tls.crt").read_text() + (folder / "tls.key").read_text())
    return folder


def told(program: str, *arguments: str) -> str:
    """What the program says against a file; nothing where it takes it."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run((program, *arguments), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_nginx_takes_its_file_as_it_ships(tmp_path: Path, certificate: Path) -> None:
    places = {
        "/etc/llm-service/proxy": f"{certificate}",
        "/var/log/nginx": f"{tmp_path}",
        "/run/": f"{tmp_path}/",
        "\nhttp {\n": f"\nhttp {{\nclient_body_temp_path {tmp_path}/body;\n",
    }
    file = tmp_path / "nginx.conf"
    file.write_text(changed(NGINX.read_text(), places))
    assert told("nginx", "-t", "-q", "-c", str(file), "-e", f"{tmp_path}/errors") == ""


def test_haproxy_takes_its_file_as_it_ships(tmp_path: Path, certificate: Path) -> None:
    places = {"/etc/llm-service/proxy": f"{certificate}", "/run/haproxy": f"{tmp_path}", **HAPROXY_USER}
    file = tmp_path / "haproxy.cfg"
    file.write_text(changed(HAPROXY.read_text(), places))
    assert told("haproxy", "-c", "-q", "-f", str(file)) == ""


@pytest.mark.parametrize(("file", "setting"), [(NGINX, "proxy_read_timeout"), (HAPROXY, "timeout server")])
def test_a_balancer_waits_longer_than_a_whole_answer_may_take(file: Path, setting: str) -> None:
    assert seconds(file, setting) > TimeoutOptions().total_s


def test_a_balancer_lets_go_of_connections_before_the_service_does() -> None:
    (kept_s,) = re.findall(r"keepalive 64;\n *keepalive_timeout (\d+)s", NGINX.read_text())
    (purged_s,) = re.findall(r"pool-purge-delay (\d+)s", HAPROXY.read_text())
    assert max(int(kept_s), int(purged_s)) < IDLE_CONNECTION_S


def test_the_service_refuses_what_is_too_large_before_nginx_does() -> None:
    (most,) = re.findall(r"client_max_body_size (\d+)m;", NGINX.read_text())
    assert int(most) * 2**20 > ServerOptions().max_body_bytes


def test_nothing_that_was_sent_is_sent_again() -> None:
    assert re.findall(r"proxy_next_upstream ([^;]+);", NGINX.read_text()) == ["error timeout"]
    assert re.findall(r"retry-on (.+)", HAPROXY.read_text()) == ["conn-failure"]


def test_a_silent_machine_is_given_up_by_both_after_about_the_same_time() -> None:
    said = {
        name.rpartition("tcp_keepalive_")[2]: int(value) for name, value in sysctls().items() if "keepalive" in name
    }
    found = {name: int(value) for name, value in re.findall(r"srvtcpka-(\w+) (\d+)", HAPROXY.read_text())}
    assert (found["idle"], found["intvl"], found["cnt"]) == (said["time"], said["intvl"], said["probes"])
