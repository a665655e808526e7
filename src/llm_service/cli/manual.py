"""``help``: a command's help, all commands as JSON, or the manual as a page for man(1)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import orjson
import typer

from llm_service import __version__
from llm_service.cli.output import refuse
from llm_service.cli.reference import DONE, PROGRAM, UNUSABLE, Command, Parameter, command_of, commands, context_of

TITLE: Final = '.TH LLM\\-SERVICE 1 "" "llm\\-service {version}" "User Commands"'
COMMON: Final = {0: DONE, 2: UNUSABLE, 130: "Ended by Ctrl-C."}


def show_help(app: typer.Typer, words: Sequence[str], *, man: bool, as_json: bool) -> int:
    """Print the help of the command that the words name, of the program without any; the exit code."""
    if man and words:
        return refuse("--man prints the manual of all commands: name none.", as_json=as_json)
    if man:
        print(page([*commands(app)], version=__version__), end="")
        return 0
    context = context_of(typer.main.get_command(app), words, program=PROGRAM)
    if context.command_path.split() != [PROGRAM, *words]:
        known = ", ".join(getattr(context.command, "commands", {})) or "nothing"
        named = " ".join((PROGRAM, *words))
        return refuse(f"There is no command {named}; {context.command_path} has {known}.", as_json=as_json)
    if not as_json:
        print(context.command.get_help(context))
        return 0
    found = command_of(context)
    below = [one for one in commands(app) if one.path[: len(found.path)] == found.path]
    print(orjson.dumps(below, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    return 0


def page(every: Sequence[Command], *, version: str) -> str:
    """The manual in the language of man(7): the same for the same commands, without a date."""
    program, *others = every
    lines = [TITLE.format(version=_text(version))]
    lines += [".SH NAME", f"{_text(PROGRAM)} \\- {_text(program.summary.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", *(f".B {_text(one.name)}\n.br" for one in others if one.commands or len(one.path) == 1)]
    lines += [".SH DESCRIPTION", *_paragraphs(program.text), ".SH COMMANDS"]
    for one in others:
        lines += _command(one)
    variables = {name: text for one in every for name, text in one.variables.items()}
    lines += [".SH ENVIRONMENT", *_terms(variables)]
    lines += [".SH EXIT STATUS", *_terms({str(code): text for code, text in COMMON.items()})]
    lines += [".PP", "With 1 a command says that it was not done, or what it found: see there."]
    return "\n".join((*lines, ""))


def _command(one: Command) -> Iterator[str]:
    yield f".SS {_text(one.usage)}"
    yield from _paragraphs(one.text)
    yield from _terms(dict(map(_parameter, (*one.arguments, *one.options))))
    for code in sorted(one.exits.keys() - COMMON.keys()):
        yield from (".PP", f"Exit status {code}: {_text(one.exits[code])}")
    for line, text in one.examples.items():
        yield from (".PP", f"{_text(text[0].upper() + text[1:])}:", ".PP", ".RS 4", ".nf", _text(line), ".fi", ".RE")


def _parameter(one: Parameter) -> tuple[str, str]:
    value = f" {one.value}" if one.value else ""
    remarks = f" [{'; '.join(one.remarks)}]" if one.remarks else ""
    return ", ".join(f"{name}{value}" for name in one.names), f"{one.help}{remarks}"


def _terms(texts: Mapping[str, str]) -> Iterator[str]:
    for term, text in texts.items():
        yield from (".TP", f"\\fB{_text(term)}\\fR", _text(text))


def _paragraphs(text: str) -> Iterator[str]:
    yield from _joined(_text(part.replace("\n", " ")) for part in text.split("\n\n"))


def _joined(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        yield from (".PP", part)


def _text(text: str) -> str:
    """As it is to be read: no command of the language, and hyphens that can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe
