"""A real Prometheus and a real Alertmanager on loopback, with the configuration that is shipped, hurried."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest

from tests.support import raw_server
from tests.support.deploy import DEPLOY, PROMETHEUS, RULE_FILES, yaml
from tests.support.rest import ask
from tests.support.valkey import free_ports
from tests.support.waiting import until_answered

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
TURN = "200ms"
"""Of scrapes, rules and notices."""


def needed(program: str) -> str:
    """Where it is. The test is skipped where it is not installed; the system's packages have it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{PACKAGES[program]} is not installed")
    return found


async def finished(program: str, *arguments: str | Path) -> tuple[int, str]:
    """Its exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        needed(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@dataclass(frozen=True)
class Notice:
    """What a webhook was told, and under which path."""

    path: str
    body: Any


@dataclass(frozen=True)
class Receiver:
    """A webhook; Alertmanager's form of notices."""

    address: str
    notices: Sequence[Notice]

    def of(self, alert: str, status: str) -> list[Notice]:
        """Those about an alert, in one state."""
        return [
            notice
            for notice in self.notices
            if notice.body["status"] == status
            and any(one["labels"]["alertname"] == alert for one in notice.body["alerts"])
        ]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    notices: list[Notice] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await raw_server.read_request(reader)
            head, _, body = request.partition(b"\r\n\r\n")
            notices.append(Notice(head.split()[1].decode(), orjson.loads(body)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with raw_server.serving(handle) as address:
        yield Receiver(address, notices)


@dataclass(frozen=True)
class Prometheus:
    address: str

    async def api(self, path: str, **query: str) -> Any:
        """The data of an answer of its API; an error of it is one of the test."""
        answer = await ask(self.address, "GET", f"/api/v1/{path}{'?' + urlencode(query) if query else ''}")
        assert answer.status == 200, answer.body
        return answer.json()["data"]

    async def value(self, expression: str) -> float | None:
        """Of an expression with one series, now; None where it has none."""
        found = (await self.api("query", query=expression))["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None


@asynccontextmanager
async def alertmanager(folder: Path, webhook: str) -> AsyncIterator[str]:
    """Its address. It tells the webhook what the shipped configuration tells those of its receivers."""
    config = dict(yaml(DEPLOY / "alertmanager" / "alertmanager.yml"))
    config["route"] = _hurried(config["route"])
    config["receivers"] = [
        {**receiver, "webhook_configs": [_moved(one, webhook) for one in receiver["webhook_configs"]]}
        for receiver in config["receivers"]
    ]
    place = _file(folder / "alertmanager.yml", config)
    command = [needed("prometheus-alertmanager"), f"--config.file={place}", f"--storage.path={folder / 'alertmanager'}"]
    async with _running(folder / "alertmanager.log", *command, "--cluster.listen-address=") as address:
        yield address


def _hurried(route: Any) -> Any:
    """Without the patience for others that might share a notice."""
    hurry = {"group_wait": "0s", "group_interval": TURN}
    routes = [{name: value for name, value in one.items() if name != "group_wait"} for one in route["routes"]]
    return {**route, **hurry, "routes": routes}


def _moved(webhook: Any, address: str) -> Any:
    return {**webhook, "url": address + urlsplit(webhook["url"]).path}


@asynccontextmanager
async def prometheus(folder: Path, *, target: str, key: Path, alerts_to: str) -> AsyncIterator[Prometheus]:
    """One that scrapes a service as the shipped configuration says, and evaluates the shipped rules without waiting:
    how long each waits is promtool's to test.
    """
    config = json.loads(json.dumps(yaml(PROMETHEUS / "prometheus.yml")))
    config["global"] = {"scrape_interval": TURN, "scrape_timeout": TURN, "evaluation_interval": TURN}
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [urlsplit(alerts_to).netloc]}]}]
    (scrape,) = config["scrape_configs"]
    scrape["authorization"]["credentials_file"] = str(key)
    scrape["static_configs"] = [{"targets": [urlsplit(target).netloc]}]
    config["rule_files"] = [str(_file(folder / path.name, _impatient(yaml(path)))) for path in RULE_FILES]
    place = _file(folder / "prometheus.yml", config)
    command = [needed("prometheus"), f"--config.file={place}", f"--storage.tsdb.path={folder / 'data'}"]
    # Its first notice is lost where it has not found the Alertmanager yet; the next one would come after a minute.
    command += [f"--rules.alert.resend-delay={TURN}"]
    async with _running(folder / "prometheus.log", *command) as address:
        yield Prometheus(address)


def _impatient(rules: Any) -> Any:
    return {
        "groups": [
            {
                "name": group["name"],
                "rules": [{name: value for name, value in rule.items() if name != "for"} for rule in group["rules"]],
            }
            for group in rules["groups"]
        ]
    }


def _file(place: Path, config: Any) -> Path:
    """JSON is YAML."""
    place.write_text(json.dumps(config), encoding="utf-8")
    return place


@asynccontextmanager
async def _running(log: Path, *command: str) -> AsyncIterator[str]:
    """The address of a daemon, once it is ready."""
    (port,) = free_ports(1)
    async with AsyncExitStack() as held:
        out = held.enter_context(log.open("wb"))
        process = await asyncio.create_subprocess_exec(
            *command, f"--web.listen-address=127.0.0.1:{port}", stdout=out, stderr=out, cwd=log.parent
        )
        try:
            ready = await until_answered(lambda: _ready(f"http://127.0.0.1:{port}", process), within_s=20)
            assert ready == 200, _said(log)
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.returncode is None:
                process.kill()  # nothing of it is wanted any more, and it would take its time to say farewell
            await process.wait()


async def _ready(address: str, process: asyncio.subprocess.Process) -> int | None:
    """The status that says so; 500 of one that has ended."""
    if process.returncode is not None:
        return 500
    try:
        return 200 if (await ask(address, "GET", "/-/ready")).status == 200 else None
    except OSError:
        return None


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
