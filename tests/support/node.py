"""Scripts of tests/clients/node, which tell what a client for node has seen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "clients" / "node"


@asynccontextmanager
async def node(script: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The script while it runs; at the end of the block its input ends, and so does it."""
    process = await asyncio.create_subprocess_exec(
        "node", SCRIPTS / script, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24
    )
    try:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def told_by(script: str, *arguments: str) -> Any:
    async with node(script, *arguments) as process:
        return await line_of(process)


async def line_of(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the script failed, see its errors above"
    return json.loads(line)
