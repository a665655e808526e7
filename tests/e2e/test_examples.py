"""The programs of docs/examples work as they stand, in front of a service in sandbox mode."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documented.programs import output_of, run_node
from tests.support.process import Serving, place, serving

pytestmark = pytest.mark.timeout(120)  # programs that import much, beside all other tests
CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "docs" / "examples"
SAID = {
    "openai_python.py": r"""answer: 12 \* 12 = 144
cost: 0(?:\.\d+)? USD, by openrouter
stream: 1, 2, 3, 4, 5, 6, 7, 8, 9\.
tokens: \d+
called: get_weather \{"city":"Oslo"\}
with tools: .*sunny in Oslo.*
refused: 404 model_not_found request req_\w+
at once: 3 answers
""",
    "langchain_python.py": r"""chain: 12 \* 12 = 144
tools: \[\('get_weather', \{'city': 'Oslo'\}, 'sunny in Oslo'\)\]
embeddings: 2 vectors
""",
    "gql_python.py": r"""query: 12 \* 12 = 144 - 0(?:\.\d+)? USD, by openrouter
subscription: 1, 2, 3, 4, 5, 6, 7, 8, 9\.
tokens: \d+
refused: model_not_found
""",
    "websocket_python.py": r"""(?:(?:sum: chat\.done 0(?:\.\d+)? '12 \* 12 = 144'
|sky: chat\.done 0\.0\d+ '.{40}'
|story: error stream_cancelled '.*'
)){3}""",
    "openai_node.mjs": r"""answer: 12 \* 12 = 144
cost: 0(?:\.\d+)? USD, by openrouter
stream: left after 3 pieces
with tools: .*sunny in Oslo.*
refused: 404 model_not_found request req_\w+
""",
    "ai_sdk.mjs": r"""text: 12 \* 12 = 144 - by openrouter
stream: 1, 2, 3, 4, 5, 6, 7, 8, 9\.
tokens: \d+
with tools: 2 steps, get_weather - .*sunny in Oslo.*
embeddings: 2 vectors
""",
    "curl.sh": r"""models: \d+
\{.*12 \* 12 = 144.*\}
cost: 0(?:\.\d+)? USD, by deepseek, request req_\w+
(?:: .*\n|id: str_.*\ndata: \{.*\}\n|\n)+data: \[DONE\]

again: cache hit, cost 0 USD
\{"error":\{.*"code":"model_not_found"\},.*
""",
}
"""What each says, line by line."""
OF_A_BROWSER = {"doors.html"}  # tests/e2e/test_doors_page.py


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(place(tmp_path_factory.mktemp("examples"), resilient=True, cached=True)) as service:
        yield service


def headed(name: str) -> str:
    """The line of an example that says how to start it."""
    begin = r"^(?:# |// )?Start a service \(\./serve\), then: "
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    found = re.search(rf"{begin}.*docs/examples/{re.escape(name)}$", text, re.MULTILINE)
    assert found, f"{name}: no line says how to start it"
    return found[0]


def test_every_example_is_run_says_how_and_is_explained() -> None:
    there = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert there == SAID.keys() | OF_A_BROWSER
    page = (CHECKOUT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert [name for name in there if f"](examples/{name})" not in page] == []
    assert all(headed(name) for name in SAID)


@pytest.mark.parametrize("name", SAID)
async def test_an_example_works(service: Serving, tmp_path: Path, name: str) -> None:
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "LLM_URL": service.address}
    path = EXAMPLES / name
    if path.suffix == ".mjs":
        said = await run_node(path.read_text(encoding="utf-8"), variables=variables, place=name)
    else:
        if path.suffix == ".sh" and shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        command = (sys.executable, "-P", str(path)) if path.suffix == ".py" else (str(path),)
        said = await output_of(command, folder=tmp_path, variables=variables, place=name, refused=path.suffix == ".sh")
    assert re.fullmatch(SAID[name], said, re.MULTILINE), said
