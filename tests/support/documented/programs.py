"""Blocks that are programs of Python or JavaScript, and documents of GraphQL: each runs against the service."""

import asyncio
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2
import orjson
import pytest
from graphql import OperationDefinitionNode, OperationType, build_schema, parse, print_ast, validate
from scripts.doc_blocks import CHECKOUT, Block

from tests.support.documented.shell import ERRORS
from tests.support.documented.site import ASKED, Site, answer_of
from tests.support.node import SCRIPTS

DEADLINE_S = 100
SCHEMA = CHECKOUT / "docs" / "schema.graphql"


async def output_of(
    command: Sequence[str], *, folder: Path, variables: Mapping[str, str], place: str, refused: bool = False
) -> str:
    """What a program says that ends well, and shows no error unless it is to be ``refused``. Else AssertionError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = out.decode(errors="replace")
    told = f"{place}: this program does not work as it stands.\n{text}\n{err.decode(errors='replace')}"
    assert process.returncode == 0, told
    assert refused or not ERRORS.search(text), told
    return text


async def run_python(text: str, *, folder: Path, variables: Mapping[str, str], place: str) -> str:
    (folder / "block.py").write_text(text, encoding="utf-8")
    return await output_of((sys.executable, "-P", "block.py"), folder=folder, variables=variables, place=place)


async def run_node(text: str, *, variables: Mapping[str, str], place: str) -> str:
    """A module of node, beside the packages that the tests have."""
    for package in re.findall(r'^import .* from "(@?[^".]+)";$', text, re.MULTILINE):
        need_package(package)
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    command = ("node", "--experimental-websocket", "--input-type=module", "--eval", text)
    return await output_of(command, folder=SCRIPTS, variables=variables, place=place)


def need_package(name: str) -> None:
    """Skips where a package for node is not installed."""
    if not name.startswith("node:") and not (SCRIPTS / "node_modules" / name).is_dir():
        pytest.skip(f"{name} is not installed")


async def run_graphql(block: Block, text: str, site: Site) -> None:
    """Every operation is valid, and what needs no variables is answered without errors."""
    document = parse(text)
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    assert operations, f"{block.place}: there is no operation in it"
    for operation in operations:
        alone = print_ast(operation)
        schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
        mistakes = [error.message for error in validate(schema, parse(alone))]
        assert not mistakes, f"{block.place}: {mistakes}\n{alone}"
        if not operation.variable_definitions:
            await execute(site, alone, streamed=operation.operation is OperationType.SUBSCRIPTION)


async def execute(site: Site, operation: str, *, streamed: bool) -> None:
    """Ask; of a subscription the first result, while there are requests to tell of."""
    media_type = "text/event-stream" if streamed else "application/json"
    asked, headers = {"query": operation}, {"Accept": media_type}
    async with (
        httpx2.AsyncClient(base_url=site.address, timeout=DEADLINE_S) as client,
        client.stream("POST", "/graphql", json=asked, headers=headers) as told,
    ):
        if not streamed:
            assert "errors" not in orjson.loads(await told.aread()), operation
            return
        answer_of(await client.post("/v1/chat/completions", json=ASKED))
        async for line in told.aiter_lines():
            if line.startswith("data: {"):
                assert '"errors"' not in line, f"{operation}\n{line}"
                return
    raise AssertionError(f"it has ended and told nothing: {operation}")
