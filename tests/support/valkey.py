"""Real Valkey servers on loopback: one, a cluster, sentinels, behind TLS; and what can go wrong with them, on purpose.

The fixtures (``valkey``, ``valkey_cluster`` ...) are known to every test. Servers are started once for a module that
uses them, and brought back into shape for each test.
"""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hiredis import Reader, pack_command

from llm_service.storage.private_valkey import server_binary
from tests.support.waiting import loop_turns, wait_until

SERVICE = "llm-primary"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system gives to outgoing connections where it can."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port < 55000:  # a cluster node needs its port + 10000 as well
                ports.append(port)
        return ports


@dataclass
class Server:
    """One server process; ``extra`` are further words of its command line."""

    folder: Path
    port: int = 0
    socket_path: Path | None = None
    extra: Sequence[str] = ()
    password: str = ""
    host: str = "127.0.0.1"
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    frozen: bool = field(default=False, init=False)

    @property
    def url(self) -> str:
        if self.socket_path is not None:
            return f"unix://{self.socket_path}"
        return f"redis://{f':{self.password}@' if self.password else ''}{self.host}:{self.port}"

    def start(self) -> "Server":
        self.folder.mkdir(parents=True, exist_ok=True)
        where = ["--unixsocket", str(self.socket_path)] if self.socket_path else []
        words = ["--bind", self.host, "--port", str(self.port), *where, "--dir", str(self.folder)]
        words += ["--save", "", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", *self.extra]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(server_binary()), *words], stdout=log, stderr=log, cwd=self.folder)
        wait_until(self.answers)
        return self

    def answers(self) -> bool:
        try:
            return bool(self.ask("PING") == b"PONG")
        except (OSError, RuntimeError):
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            return False

    def ask(self, *command: str | int | bytes, within_s: float = 5.0) -> Any:
        """One command on a connection of its own. Raises RuntimeError for an error reply."""
        with self._connected(within_s) as line:
            if self.password:
                _asked(line, "AUTH", self.password)
            return _asked(line, *command)

    def set(self, name: str, value: str) -> None:
        self.ask("CONFIG", "SET", name, value)

    def info(self, name: str) -> str:
        lines: list[str] = self.ask("INFO").decode().splitlines()
        return next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))

    # What can go wrong.

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)
        self.frozen = False

    def kill(self) -> None:
        """As kill -9 does."""
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def restart(self) -> None:
        """On the same port and folder."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.frozen = False
        self.start()

    def make_read_only(self) -> None:
        """Wants more replicas than there are."""
        self.set("min-replicas-to-write", "1")

    def make_replica(self) -> None:
        """Of nobody who answers."""
        self.ask("REPLICAOF", "127.0.0.1", "1")

    def fill(self) -> None:
        self.set("maxmemory", "1")

    def nap(self, seconds: float) -> None:
        """Answers nobody for so long; returns at once."""
        with self._connected(1) as line:
            line.sendall(packed("DEBUG", "SLEEP", str(seconds)))
            time.sleep(0.02)  # until it has begun: a server that naps cannot be asked

    def flush(self) -> None:
        self.ask("FLUSHALL")
        self.ask("SCRIPT", "FLUSH")

    def restore(self) -> None:
        """Undo all of the above, and forget every key."""
        if self.frozen:
            self.thaw()
        if self.process is None or self.process.poll() is not None:
            self.start()
        for name, value in (("min-replicas-to-write", "0"), ("maxmemory", "0"), ("maxmemory-policy", "noeviction")):
            self.set(name, value)
        if "--cluster-enabled" not in self.extra:
            self.ask("REPLICAOF", "NO", "ONE")
        self.flush()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @contextmanager
    def _connected(self, within_s: float) -> Iterator[socket.socket]:
        family = socket.AF_UNIX if self.socket_path else socket.AF_INET
        with socket.socket(family) as line:
            line.settimeout(within_s)
            line.connect(str(self.socket_path) if self.socket_path else (self.host, self.port))
            yield line


def packed(*command: str | int | bytes) -> bytes:
    """A command as it is sent."""
    words: Any = tuple(str(word) if isinstance(word, int) else word for word in command)
    sent: bytes = pack_command(words)
    return sent


def _asked(line: socket.socket, *command: str | int | bytes) -> Any:
    line.sendall(packed(*command))
    reader = Reader(replyError=RuntimeError, notEnoughData=Ellipsis)
    while (answer := reader.gets()) is Ellipsis:
        data = line.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        reader.feed(data)
    if isinstance(answer, RuntimeError):
        raise answer
    return answer


@dataclass
class ValkeyCluster:
    """Three primaries, no replicas."""

    nodes: list[Server]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{node.host}:{node.port}" for node in self.nodes)

    def owner(self, key: str) -> Server:
        slot = self.nodes[0].ask("CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_), *_ in self.nodes[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody owns slot {slot}")

    def move(self, key: str, *, to: Server) -> None:
        """Give an empty slot to another node, as far as every node is concerned."""
        slot = self.nodes[0].ask("CLUSTER", "KEYSLOT", key)
        node_id = to.ask("CLUSTER", "MYID")
        self.owner(key).flush()
        for node in self.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", node_id)

    def form(self) -> None:
        """Share out the slots and meet (no tool but the server's own commands)."""
        share = 16384 // len(self.nodes)
        for number, node in enumerate(self.nodes):
            last = 16383 if number == len(self.nodes) - 1 else (number + 1) * share - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", self.nodes[0].host, self.nodes[0].port)
        wait_until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes))

    def restore(self) -> None:
        for node in self.nodes:
            node.restore()
        wait_until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes))


@dataclass
class SentinelSet:
    """Two servers, of which one is the primary now, and three sentinels."""

    servers: list[Server]
    sentinels: list[Server]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def primary(self) -> Server:
        """Whom the sentinels name."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def replica(self) -> Server:
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    def is_whole(self) -> bool:
        """All know each other, and the replica follows the primary."""
        try:
            for sentinel in self.sentinels:
                facts = sentinel.ask("SENTINEL", "MASTER", SERVICE)
                known = dict(zip(facts[::2], facts[1::2], strict=True))
                if (known[b"num-slaves"], known[b"num-other-sentinels"], known[b"flags"]) != (b"1", b"2", b"master"):
                    return False
            return self.replica().info("master_link_status") == "up" and self.primary().info("role") == "master"
        except (RuntimeError, OSError, StopIteration):
            return False


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Servers that end with the block."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.close()


@contextmanager
def single(folder: Path, *extra: str, password: str = "") -> Iterator[Server]:
    words = (*extra, *(("--requirepass", password) if password else ()))
    server = Server(folder, port=free_ports(1)[0], extra=words, password=password)
    with running(server):
        yield server


@contextmanager
def cluster(folder: Path) -> Iterator[ValkeyCluster]:
    ports = free_ports(3)
    words = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1500")
    made = ValkeyCluster([Server(folder / str(port), port=port, extra=words) for port in ports])
    with running(*made.nodes):
        made.form()
        yield made


@contextmanager
def sentinel_set(folder: Path) -> Iterator[SentinelSet]:
    ports = free_ports(5)
    primary = Server(folder / "a", port=ports[0])
    replica = Server(folder / "b", port=ports[1], extra=("--replicaof", "127.0.0.1", str(ports[0])))
    sentinels = []
    for port in ports[2:]:
        place = folder / str(port)
        place.mkdir(parents=True)
        conf = place / "sentinel.conf"
        monitor = f"sentinel monitor {SERVICE} 127.0.0.1 {ports[0]} 2\n"
        timing = f"sentinel down-after-milliseconds {SERVICE} 600\nsentinel failover-timeout {SERVICE} 2000\n"
        conf.write_text(f"port {port}\nbind 127.0.0.1\ndir {place}\n{monitor}{timing}")
        sentinels.append(_Sentinel(place, port=port, conf=conf))
    with running(primary, replica, *sentinels):
        made = SentinelSet([primary, replica], list(sentinels))
        wait_until(made.is_whole)
        yield made


@dataclass
class _Sentinel(Server):
    conf: Path = Path()

    def start(self) -> Server:
        with (self.folder / "log").open("ab") as log:
            words = [str(server_binary()), str(self.conf), "--sentinel"]
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)
        wait_until(self.answers)
        return self


def make_certificates(folder: Path) -> None:
    """An authority (ca.pem) and a server's certificate for localhost (server.pem, server.key)."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    usage = ["-addext", "keyUsage=critical,keyCertSign"]
    authority = ["openssl", "req", "-x509", *key, "-subj", "/CN=test authority", *usage]
    subprocess.run([*authority, "-keyout", "ca.key", "-out", "ca.pem"], cwd=folder, check=True, capture_output=True)
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost"]
    server = ["openssl", "req", "-x509", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem"]
    subprocess.run([*server, *signed], cwd=folder, check=True, capture_output=True)


def short_folder() -> Path:
    """A new folder whose path is short enough for a Unix socket; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="llmv-"))


class SlowLine:
    """A TCP proxy to a server that passes nothing on before ``delay_s``, or cuts or mutes all its lines.

    With ``tls`` it speaks TLS to the client (the wheel's server does not speak it itself).
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._to = port
        self._tls = tls
        self._handlers: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.delay_s = 0.0
        self.held = 0
        """How much is on its way and not passed on yet, in pieces."""
        self._muted = 0
        self.accepted = 0
        self.connections = 0
        self.most = 0

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "SlowLine":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await loop_turns()  # who was just accepted gets its handler
        self.cut()
        while self._handlers:
            await asyncio.wait(tuple(self._handlers))

    def mute(self) -> None:
        """Pass nothing on, either way, on the lines that there are; they stay open."""
        self._muted = self.accepted

    def cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        number, self.accepted = self.accepted, self.accepted + 1
        self.connections += 1
        self.most = max(self.most, self.connections)
        try:
            upstream, sink = await asyncio.open_connection("127.0.0.1", self._to)
        except ConnectionRefusedError:  # as at the server itself, but a moment later
            writer.transport.abort()
            self.connections -= 1
            return
        ends = {writer, sink}
        self._writers |= ends
        there = self._pump(reader, sink, number, delays=True)
        await asyncio.gather(there, self._pump(upstream, writer, number, delays=False))
        self._writers -= ends
        self.connections -= 1

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, number: int, *, delays: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if number < self._muted:
                    continue
                if delays and self.delay_s:
                    self.held += 1
                    await asyncio.sleep(self.delay_s)  # this is what makes the line slow
                    self.held -= 1
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


@pytest.fixture(scope="module")
def _valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with single(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(_valkey: Server) -> Iterator[Server]:
    """One server without a password, empty."""
    _valkey.restore()
    yield _valkey
    if _valkey.frozen:
        _valkey.thaw()


@pytest.fixture(scope="module")
def _valkey_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def valkey_cluster(_valkey_cluster: ValkeyCluster) -> Iterator[ValkeyCluster]:
    """A cluster of three nodes, empty."""
    _valkey_cluster.restore()
    yield _valkey_cluster
    for node in _valkey_cluster.nodes:
        if node.frozen:
            node.thaw()


@pytest.fixture(scope="module")
def valkey_sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    """A primary, its replica and three sentinels. Whoever fails over waits until ``is_whole`` before: it may take the
    sentinels ten seconds to make a replica of the primary of the test before."""
    with sentinel_set(tmp_path_factory.mktemp("sentinel")) as made:
        yield made


@pytest.fixture(scope="session")
def valkey_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    return folder


@pytest.fixture
async def valkey_tls(valkey: Server, valkey_certificates: Path) -> AsyncIterator[SlowLine]:
    """The server behind TLS, with a certificate for ``localhost``."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(valkey_certificates / "server.pem", valkey_certificates / "server.key")
    async with SlowLine(valkey.port, tls) as line:
        yield line


@pytest.fixture(scope="module")
def valkey_on_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a Unix socket."""
    place = short_folder()
    server = Server(tmp_path_factory.mktemp("socket"), socket_path=place / "s")
    with running(server):
        yield server
    shutil.rmtree(place, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
