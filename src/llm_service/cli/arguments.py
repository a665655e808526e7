"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated, Final

import typer

from llm_service.cli.completing import one_of

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8080"

ConfigPath = Annotated[Path | None, typer.Option("--config", help="Configuration file; else LLM_SERVICE_CONFIG.")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Folder of the service's data, as `serve` has it.")]
Sandbox = Annotated[
    str | None,
    typer.Option(
        "--sandbox",
        help="auto, on or off, as `serve` was told: simulated providers have data of their own.",
        autocompletion=one_of("auto", "on", "off"),
    ),
]
Address = Annotated[str, typer.Option("--url", help="Address of a running service.")]
Key = Annotated[str | None, typer.Option("--key", help="Api key.", envvar="LLM_SERVICE_KEY")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
