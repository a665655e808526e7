"""The command line."""

from llm_service.cli.app import main

__all__ = ["main"]
