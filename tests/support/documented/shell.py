"""The shell blocks of a page, run one after the other in one shell, in a folder that looks like the checkout."""

import asyncio
import os
import re
import shutil
import signal
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.doc_blocks import CHECKOUT, Block

DEADLINE_S = 100
LASTING = re.compile(
    r"((\w+=\S+ )*\./serve\b|llm-service (serve|sandbox)\b|llm-service top\b(?!.* --once)|curl .*/admin/events\b)"
)
"""How lines begin whose command goes on until somebody ends it; each stands on a line alone."""
ERRORS = re.compile(r'"errors": ?\[|"error": ?\{"')
"""How what was refused looks in an answer that has a good status: by GraphQL, and in mid-stream."""
OF_THE_SYSTEM = ("promtool", "amtool", "openssl", "node")
"""What scripts/setup-system installs; where it is not there a page is run without the blocks that want it."""

PREAMBLE = """\
set -eo pipefail
# What goes on until it is ended: until it has said its first line.
lasting() {
  local first ended=0 out pid
  coproc GOING { exec "$@"; }
  pid=$GOING_PID
  exec {out}<&"${GOING[0]}"
  IFS= read -r -t 30 first <&"$out" || { echo "it has said nothing: $*" >&2; return 1; }
  printf '%s\\n' "$first"
  kill -TERM "$pid"
  cat <&"$out"
  exec {out}<&-
  wait "$pid" || ended=$?
  [[ $ended == 0 || $ended == 143 ]]
}
"""
# curl says nothing of a bad status unless asked; what the sandbox fails with is as the block wants it.
CURL = """\
#!/usr/bin/env bash
here=${BASH_SOURCE[0]%/*}
export PATH=${PATH//"$here:"/}
if [[ $* != *sandbox/error-* && $* != *'"sandbox":'* ]]; then exec curl --fail-with-body --no-progress-meter "$@"; fi
code=0
curl "$@" || code=$?
[[ $code == 18 ]] || exit "$code"  # cut off, as the block wanted it
"""
SERVE = """\
#!/usr/bin/env bash
exec llm-service serve "$@"
"""


@dataclass(frozen=True)
class Told:
    """What a block has said."""

    block: Block
    out: str
    err: str


def without_programs_that_lack(blocks: Sequence[Block]) -> tuple[list[Block], str | None]:
    """The blocks that can run on this machine, and the first program that another one wants and is not there."""
    wanted = {block: lacking(block) for block in blocks}
    return [block for block, program in wanted.items() if program is None], next(filter(None, wanted.values()), None)


def lacking(block: Block) -> str | None:
    """A program of the system that the block begins a line with, and that is not installed."""
    begins = re.findall(r"^(\S+)", block.text, re.MULTILINE)
    return next((name for name in OF_THE_SYSTEM if name in begins and shutil.which(name) is None), None)


def lasting_marked(text: str) -> str:
    """The block, with what does not end by itself ended once it has said something."""
    lines = text.splitlines()
    return "\n".join(f"lasting env {line}" if LASTING.match(line) else line for line in lines)


def script_of(blocks: Sequence[tuple[Block, str]]) -> Iterator[str]:
    """The program of a page: each block with what is to be run of it."""
    yield PREAMBLE
    for block, text in blocks:
        yield f"{{ :\n{lasting_marked(text)}\n}} >out.{block.line} 2>err.{block.line} </dev/null"


def checkout_at(folder: Path, programs: Path) -> None:
    """A folder in which what a page names is found, and what it writes stays apart from the sources."""
    for entry in CHECKOUT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("serve", "data"):
            (folder / entry.name).symlink_to(entry)
    (folder / ".venvs/run/bin").mkdir(parents=True)
    (folder / ".venvs/run/bin/llm-service").symlink_to(programs / "llm-service")
    write_program(folder / "serve", SERVE)


def write_program(place: Path, text: str) -> None:
    place.write_text(text, encoding="utf-8")
    place.chmod(stat.S_IRWXU)


async def run_page(
    blocks: Sequence[tuple[Block, str]], *, folder: Path, programs: Path, variables: Mapping[str, str]
) -> list[Told]:
    """Run them. AssertionError with what was said, and where it stands, where one fails or takes too long."""
    bash = shutil.which("bash")
    assert bash is not None
    (folder / "page.sh").write_text("\n".join(script_of(blocks)), encoding="utf-8")
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    with (folder / "page.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(bash, "page.sh"),
            cwd=folder,
            env={**variables, "PATH": path},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    late = ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
    except TimeoutError:
        late = f"not over within {DEADLINE_S} s"
    finally:
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    said = late or (folder / "page.out").read_text(errors="replace")
    told = [told_by(folder, block) for block, _ in blocks]
    for each in told:
        failed = process.returncode != 0 and each is last_begun(folder, told)
        assert not failed, failure(each, said)
        refused = ERRORS.search(each.out) and "sandbox" not in each.block.text
        assert not refused, failure(each, "the answer tells of an error")
    assert process.returncode == 0, said
    return told


def told_by(folder: Path, block: Block) -> Told:
    out, err = ((folder / f"{stream}.{block.line}") for stream in ("out", "err"))
    return Told(block, *(one.read_text(errors="replace") if one.exists() else "" for one in (out, err)))


def last_begun(folder: Path, told: Sequence[Told]) -> Told:
    return [each for each in told if (folder / f"out.{each.block.line}").exists()][-1]


def failure(told: Told, why: str) -> str:
    return (
        f"{told.block.place}: this block does not work as it stands.\n{told.block.text}\n"
        f"-- it said\n{told.out[-3000:]}\n-- and on its error stream\n{told.err[-3000:]}\n{why}\n"
        "Mend the page, or, where it cannot run here at all, name it with the reason in "
        "tests/support/documented/unexecuted.py."
    )
