"""The service under watch: a process of its own, with everything on, that begins and ends to watch when it is told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from bench.measuring import our_service
from bench.measuring.processes import free_port, started, until_well

STARTS_WITHIN_S: Final = 60.0
REPORTS_WITHIN_S: Final = 30.0


class Service:
    """A running service, its keys, and what it watches."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, report: Path) -> None:
        self.port = port
        self.pid = process.pid
        self.key = our_service.issue_key(port)
        self.exhausted_key = our_service.issue_key(port, requests_per_minute=1)
        """A key whose next request but one is refused for a minute, and so are all that follow."""
        self._report = report
        self._process = process

    @contextmanager
    def watching(self) -> Iterator[dict[str, Any]]:
        """What it found while the block ran is in the dictionary afterwards."""
        found: dict[str, Any] = {}
        self._tell()
        yield found
        found |= self._tell()

    def threads(self) -> dict[int, str]:
        """The name of each of its threads, by its number in the kernel."""
        named = self._tell()["threads"]
        self._tell()
        return {int(number): name for number, name in named.items()}

    def _tell(self) -> dict[str, Any]:
        self._report.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        begun = time.monotonic()
        while not self._report.exists():
            if self._process.poll() is not None or time.monotonic() - begun > REPORTS_WITHIN_S:
                raise RuntimeError("the service that is watched says nothing")
            time.sleep(0.002)
        told: dict[str, Any] = json.loads(self._report.read_bytes())
        return told


@contextmanager
def watched(kind: Literal["calls", "times"], *, upstream_port: int, cpu: int | None = None) -> Iterator[Service]:
    """A service that watches so, for as long as the block runs. Raises RuntimeError with its log if it cannot start."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), free_port()
        report, log = folder / "report.json", folder / "log"
        arguments = our_service.prepared(folder, port=port, upstream_port=upstream_port)
        command = (sys.executable, "-P", "-m", "bench.profiling.watched", kind, str(report), *arguments)
        with started(command, environment=our_service.environment(), log=log, cpu=cpu) as process:
            try:
                until_well(lambda: our_service.is_up(port), process, within_s=STARTS_WITHIN_S)
                service = Service(process, port, report)
            except RuntimeError as error:
                raise RuntimeError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from None
            yield service
