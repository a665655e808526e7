"""``sandbox``: the simulated providers as a program of their own."""

import asyncio
import sys
from typing import Final

import uvloop

from llm_service.api import ServerOptions
from llm_service.cli.output import cannot_listen, print_json, refuse
from llm_service.environment import ALWAYS_THERE, LOCAL_PATH, upstream_of
from llm_service.runtime import Stop
from llm_service.sandbox import Sandbox

MAX_PORT: Final = 65535


def run_sandbox(host: str, port: int, *, seed: int, as_json: bool) -> int:
    """Serve until a signal ends it; the exit code."""
    if not ServerOptions(host=host).on_loopback:
        message = (
            "The sandbox listens on loopback only, where nobody takes it for a provider: 127.0.0.1, ::1, localhost."
        )
        return refuse(message, as_json=as_json)
    if not 0 <= port <= MAX_PORT:
        return refuse(f"--port must be from 0 to {MAX_PORT}, not {port}.", as_json=as_json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(host, port, seed=seed, as_json=as_json))


async def _serve(host: str, port: int, *, seed: int, as_json: bool) -> int:
    stop = Stop.by_signals()
    sandbox = Sandbox(seed=seed)
    try:
        address = await sandbox.start(host=host, port=port)
    except OSError as error:
        return refuse(cannot_listen(host, port, error), as_json=as_json)
    upstreams = {name: upstream_of(options, address) for name, options in ALWAYS_THERE.items()}
    upstreams["local"] = address + LOCAL_PATH
    if as_json:
        print_json({"address": address, "seed": seed, **upstreams})
    else:
        print("\n".join([f"sandbox on {address}", *(f"  {name}: {url}" for name, url in upstreams.items())]))
    sys.stdout.flush()
    await stop.asked.wait()
    await sandbox.aclose()
    return 0
