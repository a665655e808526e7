"""Blocks of pages are found as readers see them, and one that is wrong is told apart from one that is right."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from scripts.doc_blocks import Block, blocks_in, pages

from tests.support.documented.answers import said_otherwise, unlike
from tests.support.documented.commands import NotUnderstood, check_named, parsed
from tests.support.documented.settings import check_settings
from tests.support.documented.shell import lasting_marked, run_page
from tests.support.documented.unrun import is_a_command, mistakes
from tests.support.waiting import until

PAGE = """\
Words, and `code`.

```sh
one
```
- in a list:
  ```yaml title="x"
  a:
    b: 1
  ```
~~~text
```
not the end
~~~
````md
```sh
not a block
```
````
"""


def block(text: str, language: str = "sh") -> Block:
    return Block("docs/some.md", 3, language, text)


def test_blocks_are_found_with_their_languages_and_lines() -> None:
    assert [(one.language, one.line, one.text) for one in blocks_in("p.md", PAGE)] == [
        ("sh", 3, "one\n"),
        ("yaml", 7, "a:\n  b: 1\n"),
        ("text", 11, "```\nnot the end\n"),
        ("md", 15, "```sh\nnot a block\n```\n"),
    ]


def test_a_block_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"p\.md:2: the block has no end"):
        list(blocks_in("p.md", "\n```sh\none\n"))


def test_pages_of_another_time_are_left_as_they_were() -> None:
    found = pages()
    assert {"README.md", "docs/keys.md", "docs/deploy/docker.md"} <= set(found)
    assert not [page for page in found if page.startswith(("docs/decisions/", "docs/evidence/"))]


@pytest.mark.parametrize("line", ["keys create n --bad", "no-such-command", "keys", "top --interval 700"])
def test_a_command_that_there_is_not_is_not_understood(line: str) -> None:
    with pytest.raises(NotUnderstood, match="llm-service "):
        parsed(line.split())


@pytest.mark.parametrize("line", ["keys create --bad", "no-such", "keys no", "--bad", "usage report --by=key --no=1"])
def test_a_command_that_a_sentence_names_and_is_not_there_is_seen(line: str) -> None:
    with pytest.raises(NotUnderstood, match="there is no "):
        check_named(line.split())


@pytest.mark.parametrize("line", ["keys", "keys create", "keys create NAME --model ... --budget-usd ...", "--version"])
def test_a_command_may_be_named_in_part(line: str) -> None:
    check_named(line.split())


def test_a_command_is_understood_with_its_options() -> None:
    assert parsed(["keys", "create", "n", "--scope", "read"]).params["scopes"] == ("read",)


def test_what_goes_on_until_it_is_ended_is_ended() -> None:
    text = (
        "llm-service top\nllm-service top --once\nA=1 ./serve   # now\ncurl -N 'http://h/admin/events?x'\ncurl http://h"
    )
    marked = lasting_marked(text).splitlines()
    assert [line.startswith("lasting env ") for line in marked] == [True, False, True, True, False]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
class TestShell:
    async def run(self, folder: Path, *texts: str) -> list[str]:
        blocks = [Block("docs/some.md", number, "sh", text) for number, text in enumerate(texts)]
        told = await run_page(
            [(one, one.text) for one in blocks], folder=folder, programs=folder, variables={"HOME": str(folder)}
        )
        return [one.out for one in told]

    async def test_blocks_of_a_page_share_a_shell(self, tmp_path: Path) -> None:
        assert await self.run(tmp_path, "a=1 # no more\n", 'echo "$a" \\\n  2\n') == ["", "1 2\n"]

    @pytest.mark.parametrize("end", ["true", "false"])
    async def test_nothing_of_a_page_goes_on_after_it(self, tmp_path: Path, end: str) -> None:
        with suppress(AssertionError):
            await self.run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid\n{end}\n")
        left = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
        await until(lambda: not left.exists() or left.read_text().rpartition(") ")[2][0] == "Z")

    @pytest.mark.parametrize("wrong", ["false\necho on\n", "no-such-program | cat\n", "echo '{\"errors\": [1]}'\n"])
    async def test_a_block_that_fails_is_named_with_what_it_said(self, tmp_path: Path, wrong: str) -> None:
        with pytest.raises(AssertionError, match=r"docs/some\.md:1: this block does not work[^$]*unexecuted\.py"):
            await self.run(tmp_path, "echo fine\n", wrong, "echo never\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("if true\n", "bash cannot read it"),
        ("scripts/no-such-script --x\n", "there is no scripts/no-such-script"),
        ("no-such-program x\n", "no-such-program is a program that no page has used yet"),
        ("docker compose exec service llm-service keys no-such x\n", "no such command"),
    ],
)
def test_what_is_wrong_is_seen_without_running_it(text: str, told: str) -> None:
    assert told in "\n".join(mistakes(block(text)))


def test_what_is_right_is_let_pass_without_running_it() -> None:
    text = "A=... sudo scripts/setup-system | jq -r .x > out\ndocker build --tag llm-service .\n"
    assert list(mistakes(block(text))) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: {prot: 1}\n", "check-config refuses these settings"),
        ("a: [\n", "this is no YAML"),
        ("whose: 1\n", "nobody knows what reads this YAML"),
        ("apiVersion: v1\nkind: Secret\n", "not the whole head"),
    ],
)
def test_settings_that_are_wrong_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_settings(block(text, "yaml"), tmp_path)


def test_an_answer_differs_by_fields_and_types_alone() -> None:
    real = {"a": 1, "b": [{"c": "x"}], "series": {"p": 1, "q": 2}}
    assert unlike({"a": 2.5, "b": [], "series": {"p": 3}}, real) == []
    assert sorted(unlike({"a": "1", "b": [{"d": None}], "series": {"r": 1}}, real)) == [
        "$.a: str on the page, number in the answer",
        "$.b[].c: not on the page",
        "$.b[].d: not in the answer",
        "$.series.r: not in the answer",
    ]


def test_what_is_said_differs_by_its_words_alone() -> None:
    real = "at http://127.0.0.1:8080 in 12 ms\nid req_1a\n"
    assert said_otherwise("at http://10.0.0.1:1 in 3.5 ms\nid req_0...\n", real) == []
    assert said_otherwise("at http://10.0.0.1:1 after 3.5 ms\n", real) == ["at # after # ms"]
    assert said_otherwise("at http://a in 1 ms\nid key_1\nmore\n", real) == ["more"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("systemctl stop x\n", True),
        ("llm-service keys list\n", True),
        ("llm-service on http://h\n", False),
        ("domain/  nouns\n", False),
    ],
)
def test_a_command_that_calls_itself_text_is_seen(text: str, expected: bool) -> None:
    assert is_a_command(block(text, "text")) is expected
