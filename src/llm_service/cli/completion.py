"""``completion``: what makes a shell complete our commands. The engine is typer's, which asks the program itself.

Its functions have no public names; typer is pinned below the next minor version, and real shells test them. Every
command imports this module, so it imports nothing for the one that is about completion.
"""

import os
from typing import Final

VARIABLE: Final = "_LLM_SERVICE_COMPLETE"
"""Set by the shell's script: then the program says what could come next, and does nothing else."""
SHELLS: Final = ("bash", "zsh", "fish")


def is_asked() -> bool:
    """Whether a shell asks what could come next."""
    return VARIABLE in os.environ


def prepare() -> None:
    """Have the program answer a shell that asks."""
    from typer._completion_classes import completion_init

    completion_init()


def show_completion(shell: str, *, as_json: bool) -> int:
    """Print the script of a shell; the exit code."""
    from typer._completion_shared import get_completion_script

    from llm_service.cli.output import print_json, refuse
    from llm_service.cli.reference import PROGRAM

    if shell not in SHELLS:
        return refuse(f"There is a script for {', '.join(SHELLS)}, not for {shell}.", as_json=as_json)
    script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        print(script)
    return 0
