"""Every code block of README.md, CONTRIBUTING.md, SECURITY.md and docs/ does what its page says."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from scripts.doc_blocks import CHECKOUT, SHELLS, Block, all_blocks, pages

from tests.support.documented.answers import ANSWERS, TEXTS, asks_of, parsed, said_otherwise, unlike
from tests.support.documented.commands import check_named
from tests.support.documented.programs import run_graphql, run_node, run_python
from tests.support.documented.settings import check_file, check_settings
from tests.support.documented.shell import checkout_at, run_page, without_programs_that_lack
from tests.support.documented.site import Site, site_in
from tests.support.documented.unexecuted import UNEXECUTED
from tests.support.documented.unrun import is_a_command, mistakes
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(120)  # programs that import much, beside all other tests
BLOCKS = all_blocks()
RUN = {*SHELLS, "python", "js", "graphql", "yaml", "json", "sql", "ini", "nginx", "caddy"}
READ = {"text", "mermaid"}
"""Pictures, and what is said by the way; rules of their own hold some of them (tests/architecture/test_docs.py)."""


def reason_of(block: Block) -> str | None:
    """Why a block is not executed."""
    reasons = (why for (page, begin), why in UNEXECUTED.items() if page == block.page and begun(block, begin))
    return next(reasons, None)


def begun(block: Block, begin: str) -> bool:
    return block.first_line.startswith(begin.strip())


def in_language(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and reason_of(block) is None]


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", in_language(*languages), ids=lambda block: block.place)


SHOWN = {("docs/migrate/litellm.md", "config.yaml"): "model_list:"}
"""Files that the commands of a page are about, which the page shows: how the block begins."""
SAYS = {
    ("README.md", "python"): r"\w",
    ("docs/quickstart.md", "python"): r"\w",
    ("docs/graphql.md", "python"): r"\w.*\ntokens: [1-9]\d* USD: 0(\.\d+)?\n$",
    ("docs/graphql.md", "js"): r"\w{2}",
    ("docs/websocket.md", "python"): r"(?m)^b 12 \* 12 = 144 0\.0\d+$",
    ("docs/websocket.md", "js"): r" ([3-9]|\d\d)\d \nclosed 1000\n$",  # more tokens than its first credit
}
"""What a program says, where its page tells what it is for."""


def says(block: Block, said: str) -> bool:
    return re.search(SAYS.get((block.page, block.language), ""), said) is not None


SHELL = {page: [block for block in in_language(*SHELLS) if block.page == page] for page in pages()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_every_block_names_a_language_that_is_held_to_something() -> None:
    unknown = [block for block in BLOCKS if block.language not in RUN | READ]
    assert not unknown, "\n".join(
        f"{block.place}: {block.language!r} is no language that a test runs or reads: {sorted(RUN | READ)}. "
        "A new one needs its way in tests/support/documented and its name here."
        for block in unknown
    )


def test_no_command_calls_itself_text() -> None:
    assert [block.place for block in in_language("text") if is_a_command(block)] == []


@pytest.mark.parametrize("page", pages())
def test_the_commands_that_sentences_name_are_there(page: str) -> None:
    for command in re.findall(r"`llm-service ([a-z][^`|<>]*)`", (CHECKOUT / page).read_text(encoding="utf-8")):
        check_named(shlex.split(command))


def test_what_is_not_executed_is_there_and_has_its_reason() -> None:
    gone = [
        entry for entry in UNEXECUTED if not any(block.page == entry[0] and begun(block, entry[1]) for block in BLOCKS)
    ]
    assert not gone, f"no block begins so any more; take it out of unexecuted.py: {gone}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if reason_of(block)], ids=lambda block: block.place)
def test_a_block_that_is_not_executed_is_right_as_far_as_can_be_said(block: Block) -> None:
    assert block.language in SHELLS, f"{block.place}: there is a way to hold {block.language} to the code"
    assert list(mistakes(block)) == [], block.place


def write_shown(page: str, folder: Path) -> dict[str, str]:
    """The files that the page shows; the variables that its settings name, with some value."""
    shown = {name: begin for (of, name), begin in SHOWN.items() if of == page}
    for name, begin in shown.items():
        (block,) = [block for block in BLOCKS if block.page == page and begun(block, begin)]
        (folder / name).write_text(block.text, encoding="utf-8")
    settings = "".join(block.text for block in BLOCKS if shown and (block.page, block.language) == (page, "yaml"))
    return dict.fromkeys(re.findall(r"\$\{(\w+)", settings), "test-value")


@pytest.mark.parametrize("page", [page for page, blocks in SHELL.items() if blocks])
async def test_the_commands_of_a_page_work(site: Site, tmp_path: Path, page: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    known = site.known()
    checkout_at(tmp_path, site.programs)
    variables = site.variables(tmp_path, LLM_SERVICE_KEY=known["secret"], **write_shown(page, tmp_path))
    blocks, lacking = without_programs_that_lack(SHELL[page])
    if blocks:
        named = [(block, site.named(block.text, known)) for block in blocks]
        await run_page(named, folder=tmp_path, programs=site.programs, variables=variables)
    if lacking:
        pytest.skip(f"{lacking} is not installed")


@each("python")
async def test_a_program_of_python_runs(site: Site, tmp_path: Path, block: Block) -> None:
    variables = site.variables(tmp_path)
    said = await run_python(site.here(block.text), folder=tmp_path, variables=variables, place=block.place)
    assert says(block, said), f"{block.place}: it says\n{said}"


@each("js")
async def test_a_program_of_javascript_runs(site: Site, tmp_path: Path, block: Block) -> None:
    said = await run_node(site.here(block.text), variables=site.variables(tmp_path), place=block.place)
    assert says(block, said), f"{block.place}: it says\n{said}"


@each("graphql")
async def test_a_document_of_graphql_is_answered(site: Site, block: Block) -> None:
    await run_graphql(block, site.named(block.text, site.known()), site)


@each("yaml")
def test_a_piece_of_configuration_is_taken(tmp_path: Path, block: Block) -> None:
    check_settings(block, tmp_path)


@each("ini", "nginx", "caddy")
def test_a_piece_of_another_programs_file_is_well_formed(block: Block) -> None:
    check_file(block)


@each("json")
def test_an_answer_is_as_the_service_gives_it(request: pytest.FixtureRequest, block: Block) -> None:
    documented = parsed(block)
    asks = asks_of(block, documented)
    if asks is not None:  # else it is what somebody sends, or another program has: read, and no more
        real = asks(request.getfixturevalue("site"))
        assert not unlike(documented, real), f"{block.place}: {unlike(documented, real)}\nthe service says\n{real}"


@pytest.mark.parametrize("entry", TEXTS, ids=" ".join)
def test_what_a_page_says_that_is_said_is_said(site: Site, entry: tuple[str, str]) -> None:
    (block,) = [block for block in in_language("text") if block.page == entry[0] and begun(block, entry[1])]
    said = TEXTS[entry](site)
    assert not said_otherwise(block.text, said), f"{block.place}: {said_otherwise(block.text, said)} in\n{said}"


@each("sql")
async def test_statements_are_taken_by_postgresql(postgres_server: PostgresServer, block: Block) -> None:
    url = await postgres_server.new_database()
    text = re.sub(r"\bllm(?=_|\b)", url.rpartition("/")[2], block.text)
    connection = await asyncpg.connect(url)
    try:
        begun_here = connection.transaction()
        await begun_here.start()
        await connection.execute(text)
        await begun_here.rollback()  # roles are the whole server's
    finally:
        await connection.close()


def test_every_answer_that_can_be_asked_for_is_on_its_page() -> None:
    shown = [(block.page, field) for block in in_language("json") for field in parsed(block)]
    assert [entry for entry in ANSWERS if entry not in shown] == []
