"""The image without an engine: its file tree runs as the image's user, on a read-only root, as process 1."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from scripts.image.tree import DEVICES, Tree, build_from_here, is_possible, lay_out

from tests.support.process import Child, announced
from tests.support.rest import ask
from tests.support.valkey import free_ports

ADMIN_KEY = "sk-test-admin-key-of-a-container"
NONE = "0000000000000000"
WRITABLE = {"/var/lib/llm-service", "/tmp", "/proc", "/dev", *(f"/dev/{name}" for name in DEVICES)}


@dataclass(frozen=True)
class Container:
    """A run of the tree; ``child`` is the process that made the namespaces, ``pid`` the first inside of them."""

    tree: Tree
    volume: Path
    variables: Mapping[str, str]
    child: Child

    @property
    def pid(self) -> int:
        (first,) = psutil.Process(self.child.pid).children()
        return first.pid

    @property
    def all(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def run(self, *command: str) -> "subprocess.CompletedProcess[bytes]":
        """Another process of the same image, as ``docker exec`` starts one."""
        started = self.tree.started(
            command, volume=self.volume, variables=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = started.communicate(timeout=30)
        return subprocess.CompletedProcess(command, started.returncode, said)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    if reason := is_possible():
        pytest.skip(reason)
    return lay_out(tmp_path_factory.mktemp("image") / "root", build_from_here)


@contextmanager
def container(tree: Tree, volume: Path, *arguments: str, **variables: str) -> Iterator[Container]:
    volume.mkdir(mode=0o755)
    os.chown(volume, *tree.user)
    process = tree.started(
        tree.command(*arguments), volume=volume, variables=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    child = Child(process, out=process.stdout, err=process.stderr)
    try:
        yield Container(tree, volume, variables, child)
    finally:
        if process.poll() is None:
            process.kill()  # and all inside of it, by --kill-child
            process.wait()
        child.close()


def files(root: Path) -> dict[str, tuple[int, int, int]]:
    """What would show that somebody wrote there."""
    found = ((path, path.lstat()) for path in root.rglob("*"))
    return {str(path): (state.st_mtime_ns, state.st_size, state.st_mode) for path, state in found}


def facts_of(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_it_serves_without_a_right_and_writes_to_its_volume_alone(tree: Tree, tmp_path: Path) -> None:
    before = files(tree.root)
    (port,) = free_ports(1)
    variables = {
        "LLM_SERVICE_SERVER__PORT": str(port),
        "LLM_SERVICE_AUTH__ADMIN_KEY": ADMIN_KEY,
        "DEEPSEEK_API_KEY": "sk-test-deepseek",
        "DEEPSEEK_BASE_URL": "http://127.0.0.1:1",
    }
    probe = tree.image.last("HEALTHCHECK").words
    with container(tree, tmp_path / "volume", "serve", "--workers", "2", "--json", **variables) as running:
        assert announced(running.child)["address"] == f"http://0.0.0.0:{port}"
        ready = await ask(f"http://127.0.0.1:{port}", "GET", "/health/ready")
        refused = await ask(f"http://127.0.0.1:{port}", "GET", "/v1/models")
        assert (ready.status, refused.status) == (200, 401)
        processes = running.all
        assert len(processes) == 4  # the supervisor, its private Valkey, two workers
        for facts in map(facts_of, processes):
            assert set(facts["Uid"].split()) == set(facts["Gid"].split()) == {"65532"}
            assert {facts[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {NONE}
            assert (facts["NoNewPrivs"], facts["Groups"]) == ("1", "")
        assert facts_of(processes[0])["NSpid"].split()[-1] == "1"
        healthy = running.run(*probe)
        assert (healthy.returncode, healthy.stdout) == (0, b'{"status":"ok"}\n')
        mounts = running.run("/bin/cat", "/proc/mounts").stdout.decode().splitlines()
        assert {line.split()[1] for line in mounts if line.split()[3].startswith("rw")} <= WRITABLE
        os.kill(running.pid, signal.SIGTERM)
        assert running.child.ended() == 0
        assert running.run(*probe).returncode == 1
        events = running.child.err.all()
    assert '"stopped"' in events
    assert "running as root" not in events
    assert files(tree.root) == before
    kept = [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
    assert {"llm-service.db", "hash.key"} <= {path.name for path in kept}
    assert {path.stat().st_uid for path in kept} == {65532}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_beyond_loopback_it_wants_a_key(tree: Tree, tmp_path: Path) -> None:
    with container(tree, tmp_path / "volume", DEEPSEEK_API_KEY="sk-test-deepseek") as running:
        assert running.child.ended() == 2
        assert "auth.admin_key" in running.child.err.all()
