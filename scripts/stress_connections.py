"""What hostile connections do to everybody else: see scripts/stress-connections, which runs it."""

import argparse
import asyncio
import resource
import ssl
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx
import psutil

from tests.support.certificates import certificate
from tests.support.hostile import Crowd, crowd
from tests.support.process import executed_place, serving

CHAT: Final = {"model": "openai/sandbox/chat", "messages": [{"role": "user", "content": "Hello"}]}
RELEASED_WITHIN_S: Final = 120


async def load(client: httpx.AsyncClient, *, rate: float, seconds: float) -> tuple[list[float], int]:
    """Requests at a steady rate, whether or not the ones before were answered: milliseconds, and failures."""
    took_ms: list[float] = []
    failures = 0

    async def ask() -> None:
        nonlocal failures
        begun = time.perf_counter()
        try:
            answer = await client.post("/v1/chat/completions", json=CHAT)
            failures += answer.status_code != 200
        except httpx.HTTPError:
            failures += 1
        took_ms.append((time.perf_counter() - begun) * 1000)

    running = []
    begun = time.perf_counter()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        running.append(asyncio.create_task(ask()))
    await asyncio.gather(*running)
    return took_ms, failures


def said(took_ms: list[float], failures: int) -> str:
    at = quantiles(took_ms, n=100)
    return f"p50 {at[49]:.1f} ms, p99 {at[98]:.1f} ms, slowest {max(took_ms):.1f} ms, {failures} failures"


async def let_go(made: Crowd) -> int:
    """Wait until the service has ended them all; how many it has not in the time that it has for that."""
    for _ in range(RELEASED_WITHIN_S):
        if not made.held():
            return 0
        await asyncio.sleep(1)
    return made.held().total()


async def measure(address: str, pid: int, trusted: ssl.SSLContext | None, arguments: argparse.Namespace) -> None:
    service = psutil.Process(pid)
    scheme, _, where = address.partition("://")
    host, _, port = where.rpartition(":")
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    verify = trusted if scheme == "https" and trusted is not None else True
    async with httpx.AsyncClient(base_url=address, verify=verify, limits=limits, timeout=30) as client:
        await load(client, rate=arguments.rate, seconds=3)
        files, before_bytes = service.num_fds(), service.memory_info().rss
        print("alone:    ", said(*await load(client, rate=arguments.rate, seconds=arguments.seconds)))
        async with crowd(host, int(port), arguments.connections) as made:
            print("held:     ", dict(made.held()), "refused:", made.refused)
            print("beside:   ", said(*await load(client, rate=arguments.rate, seconds=arguments.seconds)))
            grown = service.memory_info().rss - before_bytes
            print(f"memory:    {grown / 2**20:+.1f} MiB, {grown / arguments.connections / 1024:.1f} KiB a connection")
            begun = time.monotonic()
            left = await let_go(made)
            print(f"released:  all but {left} by the service, {time.monotonic() - begun:.0f} s after that")
        await asyncio.sleep(1)
        print(f"files:     {files} open before, {service.num_fds()} after")
        print("afterwards:", said(*await load(client, rate=arguments.rate, seconds=arguments.seconds)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory() as folder:
        own = certificate(Path(folder), "own") if arguments.tls else None
        settings = "sandbox: on\n" + ("" if own is None else f"server: {{tls: {{cert: {own.cert}, key: {own.key}}}}}\n")
        (Path(folder) / "llm-service.yaml").write_text(settings)
        with serving(executed_place(Path(folder))) as service:
            asyncio.run(measure(service.address, service.pid, own.trusted() if own else None, arguments))


if __name__ == "__main__":
    main()
