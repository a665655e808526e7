"""What can be said of a shell block without running it: bash reads it, what it names is there, options exist."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

from scripts.doc_blocks import CHECKOUT, Block

from tests.support.documented.commands import NotUnderstood, parsed

PROGRAMS = frozenset(
    ("docker", "kubectl", "helm", "pip", "curl", "jq", "install", "sudo", "systemctl", "apt-get", "unzip")
)
"""What a page may take for given on another machine."""
ENDS = re.compile(r"[|&;()<>]+")


def commands_in(block: Block) -> Iterator[list[str]]:
    """Its commands as words, without the variables before them; pipes and lists taken apart."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        words: list[str] = []
        for word in [*shlex.shlex(line, posix=True, punctuation_chars=True), ";"]:
            if ENDS.fullmatch(word) and "<" not in word and ">" not in word:
                if words:
                    yield words
                words = []
            elif words or not re.match(r"\w+=", word):
                words.append(word)


def mistakes(block: Block) -> Iterator[str]:
    """What is wrong with it."""
    bash = shutil.which("bash")
    assert bash is not None
    read = subprocess.run((bash, "-n"), input=block.text, text=True, capture_output=True, check=False)
    if read.returncode:
        yield f"bash cannot read it: {read.stderr}"
        return
    for words in commands_in(block):
        yield from mistakes_of(words)


def mistakes_of(words: list[str]) -> Iterator[str]:
    own = [word for word in words[:2] if "/" in word and not word.startswith(("/", "-"))]
    for word in own:
        if not (CHECKOUT / word).exists() and "*" not in word:
            yield f"there is no {word}"
    if not own and words[0] not in PROGRAMS | {"llm-service"}:
        yield f"{words[0]} is a program that no page has used yet: is it spelled right? Then name it in {__name__}"
    for at, word in enumerate(words):
        if word == "llm-service" and (
            at == 0 or "exec" in words[:at]
        ):  # elsewhere it is the name of an image, or a chart
            try:
                parsed([one for one in words[at + 1 :] if not ENDS.fullmatch(one)])
            except NotUnderstood as error:
                yield str(error)
