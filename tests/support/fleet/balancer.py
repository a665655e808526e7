"""The balancers as they ship in deploy/proxy/, on a host of their own, in front of whichever machines serve now."""

import re
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from tests.support.deploy import DEPLOY
from tests.support.fleet.networks import FRONT, Host
from tests.support.waiting import wait_until

PROXY: Final = DEPLOY / "proxy"
SYSCTL: Final = PROXY / "sysctl.conf"
PORT: Final = 8080
HAPROXY_USER: Final = {"    user haproxy #": "    #", "    group haproxy\n": ""}
"""A change: it stays whoever has started it. Not every machine has that user, and not everybody may become it."""


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text with each of these changed, everywhere. A file that has no such place any more is not the one meant."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the file that ships"
        text = text.replace(old, new)
    return text


class Balancer(ABC):
    """One of them. ``host``: where it runs, None for this one; ``listen``: its address and port."""

    program: str

    def __init__(self, folder: Path, listen: str, *, host: Host | None = None) -> None:
        self.folder = folder
        self.listen = listen
        self.host = host
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # nginx's processes are nobody's

    @property
    def address(self) -> str:
        return f"http://{self.listen}"

    def start(self, servers: Mapping[str, str], *, known: Mapping[str, str] | None = None) -> None:
        """In front of these servers, by their names. ``known``: all that may come later."""
        self._begin(servers, known or servers)
        if self.host is not None:
            for name, value in sysctls().items():
                self.host.set(name, value)
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(self._inside(*self.command), stdout=output, stderr=output)
        wait_until(self._answers)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    @property
    @abstractmethod
    def command(self) -> Sequence[str]:
        """In the foreground."""

    @abstractmethod
    def _begin(self, servers: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Write its file."""

    @abstractmethod
    def use(self, servers: Mapping[str, str]) -> None:
        """From now on only these get new requests; what runs at others goes on to its end."""

    def resumed_elsewhere(self) -> int:
        """How many streams were gone on with at another machine than that at which they began, by its own log."""
        begun: dict[str, str] = {}
        found = 0
        for line in self._log():
            begun.setdefault(str(line["request_id"]).removeprefix("req_"), line["machine"])
            _, is_stream, stream_id = line["path"].partition("/v1/streams/str_")
            found += bool(is_stream) and begun.get(stream_id, line["machine"]) != line["machine"]
        return found

    def _log(self) -> list[dict[str, Any]]:
        """The lines of requests, before those that go on with a stream: each is written when its answer has ended."""
        lines = [orjson.loads(line) for line in self._log_file.read_bytes().splitlines() if line.startswith(b"{")]
        return sorted(lines, key=lambda line: "/v1/streams/" in line["path"])

    @property
    @abstractmethod
    def _log_file(self) -> Path: ...

    def _inside(self, *command: str) -> Sequence[str]:
        return command if self.host is None else self.host.inside(*command)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "output").read_text()
        host, _, port = self.listen.rpartition(":")
        with socket.socket() as line:
            line.settimeout(1)
            return line.connect_ex((host, int(port))) == 0


class Nginx(Balancer):
    """Is told of a change by another file, and a reload."""

    program = "nginx"
    _SERVERS: Final = re.compile(r"( +server [0-9.]+:8080 max_fails=2 fail_timeout=5s;\n)+")
    _TLS: Final = re.compile(r" +ssl_[^\n]*\n")

    @property
    def _file(self) -> Path:
        return self.folder / "nginx.conf"

    @property
    def command(self) -> Sequence[str]:
        return self.program, "-c", str(self._file), "-g", "daemon off;"

    def _begin(self, servers: Mapping[str, str], known: Mapping[str, str]) -> None:
        self._write(servers)

    def _write(self, servers: Mapping[str, str]) -> None:
        lines = "".join(f"        server {at} max_fails=2 fail_timeout=5s;\n" for at in servers.values())
        text, count = self._SERVERS.subn(lines, (PROXY / "nginx.conf").read_text())
        assert count == 1
        text = self._TLS.sub("", text)
        changes = {
            "listen 443 ssl http2": f"listen {self.listen}",
            "/var/log/nginx/": f"{self.folder}/",
            "/run/nginx.pid": f"{self.folder}/pid",
            "\nhttp {\n": f"\nhttp {{\n{self._own_folders}",
            "worker_processes auto": "worker_processes 2",
            "zone=requests:10m rate=200r/s": "zone=requests:10m rate=2000r/s",  # all callers here have one address
        }
        self._file.write_text(changed(text, changes))

    @property
    def _own_folders(self) -> str:
        """Those of the distribution are root's; nothing is written there all the same."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)

    def use(self, servers: Mapping[str, str]) -> None:
        self._write(servers)
        assert self.process is not None
        before = self._workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._workers() - before)

    def _workers(self) -> set[int]:
        """Those that take connections: the others say of themselves that they are leaving."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        titles = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return {pid for pid, title in titles.items() if b"shutting down" not in title}

    @property
    def _log_file(self) -> Path:
        return self.folder / "llm-service.log"


class HAProxy(Balancer):
    """Is told of a change by its socket; has a place for every machine from the beginning."""

    program = "haproxy"
    _SERVERS: Final = re.compile(r"( +server [a-z]+ [0-9.]+:8080\n)+")

    @property
    def _file(self) -> Path:
        return self.folder / "haproxy.cfg"

    @property
    def _socket(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def command(self) -> Sequence[str]:
        return self.program, "-db", "-f", str(self._file)

    def _begin(self, servers: Mapping[str, str], known: Mapping[str, str]) -> None:
        lines = "".join(f"    server {name} {at}\n" for name, at in known.items())
        text, count = self._SERVERS.subn(lines, (PROXY / "haproxy.cfg").read_text())
        assert count == 1
        changes = {
            ":443 ssl crt /etc/llm-service/proxy/tls.pem alpn h2,http/1.1": self.listen,
            "/run/haproxy/admin.sock": str(self._socket),
            **HAPROXY_USER,
            "maxconn 16000": "maxconn 1000",  # more than that many files may be open to nobody here
        }
        self._file.write_text(changed(text, changes))
        self._names = tuple(known)

    def use(self, servers: Mapping[str, str]) -> None:
        for name in self._names:
            self._say(f"set server llm_service/{name} state {'ready' if name in servers else 'drain'}")
        wait_until(lambda: all(self._is_up(name) for name in servers))

    def _is_up(self, name: str) -> bool:
        lines = self._say("show stat -1 4 -1").splitlines()  # of all proxies, the servers
        return any(line.startswith(f"llm_service,{name},") and ",UP," in line for line in lines)

    def _say(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._socket))
            line.sendall(f"{command}\n".encode())
            said = b""
            while piece := line.recv(65536):
                said += piece
        return said.decode()

    @property
    def _log_file(self) -> Path:
        return self.folder / "output"


BALANCERS: Final[Mapping[str, type[Balancer]]] = {"nginx": Nginx, "haproxy": HAProxy}


def sysctls() -> dict[str, str]:
    """What the file says that ships for the balancer's machine."""
    lines = (line.partition("=") for line in SYSCTL.read_text().splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in lines if name.strip()}


def installed(program: str) -> bool:
    return shutil.which(program) is not None


def place_of(host: Host) -> str:
    """Where the balancer of a fleet listens."""
    return f"{host.address(FRONT)}:{PORT}"
