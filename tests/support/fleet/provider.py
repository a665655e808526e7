"""The simulated providers on an address of the rack: python -P -m tests.support.fleet.provider HOST PORT.

The command ``llm-service sandbox`` listens on loopback alone, where nobody takes it for a provider; no way leads to
this address but from the rack's own hosts.
"""

import asyncio
import sys

import uvloop

from llm_service.runtime import Stop
from llm_service.sandbox import Sandbox


async def serve(host: str, port: int) -> None:
    stop = Stop.by_signals()
    sandbox = Sandbox()
    print(await sandbox.start(host=host, port=port), flush=True)
    await stop.asked.wait()
    await sandbox.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2])))
