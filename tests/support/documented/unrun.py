"""What can be said of a shell block without running it: bash reads it, what it names is there, options exist."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

from scripts.doc_blocks import CHECKOUT, Block

from tests.support.documented.commands import NotUnderstood, command_of, parsed

PROGRAMS = frozenset(
    (
        *(
            "apt-get",
            "cat",
            "chgrp",
            "chmod",
            "chown",
            "cp",
            "curl",
            "docker",
            "echo",
            "git",
            "haproxy",
            "helm",
            "install",
        ),
        *(
            "journalctl",
            "jq",
            "kubectl",
            "mkdir",
            "mv",
            "nginx",
            "openssl",
            "pip",
            "printf",
            "psql",
            "rm",
            "runuser",
            "sqlite3",
        ),
        *("socat", "sudo", "sysctl", "systemctl", "systemd-sysusers", "tee", "unzip"),
    )
)
"""What a page may take for given on another machine."""
ENDS = re.compile(r"[|&;()<>]+")
HERE_DOCUMENT = re.compile(r"(<<-?\s*(['\"]?)(\w+)\2[^\n]*\n).*?^\s*\3$", re.MULTILINE | re.DOTALL)
BEFORE_A_COMMAND = frozenset(("do", "then", "else", "elif", "if", "while", "until", "!", "{", "exec", "time"))
NO_COMMAND = frozenset(("for", "done", "fi", "}", "case", "esac", "in", "cd", "export", "set", "source"))


def commands_in(block: Block) -> Iterator[list[str]]:
    """Its commands as words, without the variables before them; pipes and lists taken apart."""
    text = HERE_DOCUMENT.sub(r"\1", block.text).replace("\\\n", " ")
    for line in text.splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True  # an address is one word
        for word in [*lexer, ";"]:
            if ENDS.fullmatch(word) and "<" not in word and ">" not in word:
                if words and words[0] not in NO_COMMAND:
                    yield words
                words = []
            elif words or not (re.match(r"\w+=", word) or word in BEFORE_A_COMMAND):
                words.append(word)


def is_a_command(block: Block) -> bool:
    """Whether what calls itself text is for a shell."""
    words = block.first_line.split()
    begins = words[0] in PROGRAMS or words[0] in {"llm-service", "scripts"}
    if begins and words[0] == "llm-service":
        return command_of(words[1:2])[1] == []
    return begins


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
    own = [word for word in words[:2] if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", word)]
    for word in own:
        if not (CHECKOUT / word).exists():
            yield f"there is no {word}"
    program = words[0].rpartition("/")[2]
    if words[0] not in own and program not in PROGRAMS | {"llm-service"}:
        yield f"{words[0]} is a program that no page has used yet: is it spelled right? Then name it in {__name__}"
    for at, word in enumerate(words):
        begins = at == 0 or "exec" in words[:at] or words[at - 1] == "--"  # elsewhere it names an image, or a chart
        if begins and word.rpartition("/")[2] == "llm-service" and at + 1 < len(words):
            yield from misunderstood([one for one in words[at + 1 :] if not ENDS.fullmatch(one)])


def misunderstood(arguments: list[str]) -> Iterator[str]:
    if {"--help", "--version"}.isdisjoint(arguments):
        try:
            parsed(arguments)
        except NotUnderstood as error:
            yield str(error)
