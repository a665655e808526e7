"""The form of our commands: plain help, which ends with variables, exit codes and examples."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import typer
from typer.core import TyperCommand

Function = TypeVar("Function", bound=Callable[..., Any])


class Formatter(Protocol):
    """What help is written to: typer's own keeps its class to itself."""

    def write_paragraph(self) -> None: ...

    def write(self, string: str) -> None: ...


class Commands(typer.Typer):
    """A group of commands; typer's defaults are ours here, so that all groups look alike."""

    def __init__(self, name: str | None = None, *, help: str) -> None:  # noqa: A002 - typer's word
        super().__init__(
            name=name,
            help=help,
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """As typer has it; its help is ours."""
        return super().command(name, cls=Documented, **options)


class Documented(TyperCommand):
    """A command whose ``--help`` says all that its page of the manual says."""

    def format_epilog(self, ctx: Any, formatter: Formatter) -> None:
        """What stands below the options."""
        from llm_service.cli.reference import command_of, ending

        formatter.write_paragraph()
        formatter.write(ending(command_of(ctx)))
