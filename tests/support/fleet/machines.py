"""Machines: a service each, on a host of its own with a data directory of its own, in whichever version."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from tests.support.deployment import ADMIN_KEY, HASH_KEY
from tests.support.fleet.networks import BACK, FRONT, Host
from tests.support.process import ENDED_WITHIN_S, PROGRAM, SOURCE, Child, announced
from tests.support.zygote import clean

PORT: Final = 8080
GRACE_S: Final = 20


@dataclass
class Machine:
    """One machine, which is there whether or not its service runs."""

    host: Host
    folder: Path
    settings: Mapping[str, Any]
    workers: int = 1
    source: Path = SOURCE
    lives: list[Child] = field(default_factory=list)
    """Every run of the service there, the last one the newest."""

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def server(self) -> str:
        """How a balancer names it."""
        return f"{self.host.address(FRONT)}:{PORT}"

    @property
    def address(self) -> str:
        return f"http://{self.server}"

    @property
    def inner_address(self) -> str:
        """By the network of the stores: a way to ask it while its callers cannot."""
        return f"http://{self.host.address(BACK)}:{PORT}"

    def start(self) -> None:
        """The service, once it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {"host": "0.0.0.0", "port": PORT, "workers": self.workers, "shutdown_grace_s": GRACE_S}
        written = {**self.settings, "server": {**own, "data_dir": str(self.folder / "data")}}
        (self.folder / "llm-service.yaml").write_bytes(orjson.dumps(written))
        process = subprocess.Popen(
            self.host.inside(*PROGRAM, "serve", "--json"),
            env={**clean(self.source), "HOME": str(self.folder)},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self.lives.append(Child(process, out=process.stdout, err=process.stderr))
        assert "address" in announced(self.lives[-1])

    def stop(self) -> int:
        """SIGTERM; the exit code, when what ran has ended."""
        self.lives[-1].signal(signal.SIGTERM)
        return self.lives[-1].ended(within_s=GRACE_S + ENDED_WITHIN_S)

    def log(self) -> list[dict[str, Any]]:
        """The lines of all its lives."""
        found = []
        for life in self.lives:
            whole, _, _ = life.err.text.rpartition("\n")
            found += [orjson.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return found

    def close(self) -> None:
        for life in self.lives:
            life.close()


def settings_for(provider: str, *, redis_url: str, database_url: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    """What all machines have in common."""
    return {
        "sandbox": "off",
        "auth": {"admin_key": ADMIN_KEY, "hash_key": HASH_KEY, "required": "always"},
        # Not lost for want of a core: that would be counted by each machine alone.
        "store": {"redis_url": redis_url, "database_url": database_url, "redis_timeout_s": 0.5},
        "providers": {
            "openrouter": {"kind": "openrouter", "base_url": f"{provider}/openrouter/api/v1", "api_key": "sk-test-1"},
            "deepseek": {"kind": "deepseek", "base_url": f"{provider}/deepseek", "api_key": "sk-test-1"},
        },
        "limits": limits,
    }


@contextmanager
def closing(machines: list[Machine]) -> Iterator[list[Machine]]:
    """All their services end with the block."""
    try:
        yield machines
    finally:
        for machine in machines:
            machine.close()
