"""``sandbox``: the simulated providers as a program of their own."""

import asyncio
import signal
import sys

import uvloop

from llm_service.cli.configuration import print_json
from llm_service.sandbox import Sandbox


def run_sandbox(host: str, port: int, *, seed: int, as_json: bool) -> int:
    """Serve until a signal ends it; the exit code."""
    if host not in ("127.0.0.1", "::1", "localhost"):
        print("The sandbox listens on loopback only: 127.0.0.1, ::1 or localhost.", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(host, port, seed=seed, as_json=as_json))


async def _serve(host: str, port: int, *, seed: int, as_json: bool) -> int:
    sandbox = Sandbox(seed=seed)
    try:
        address = await sandbox.start(host=host, port=port)
    except OSError as error:
        print(f"Cannot listen on {host}:{port}: {error.strerror or error}.", file=sys.stderr)
        return 2
    upstreams = {name: f"{address}/{path}" for name, path in _MOUNTS}
    if as_json:
        print_json({"address": address, "seed": seed, **upstreams})
    else:
        print("\n".join([f"sandbox on {address}", *(f"  {name}: {url}" for name, url in upstreams.items())]))
    sys.stdout.flush()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await sandbox.aclose()
    return 0


_MOUNTS = (("openrouter", "openrouter/api/v1"), ("deepseek", "deepseek"), ("openai", "openai/v1"))
