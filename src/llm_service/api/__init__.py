"""The doors: every surface through which callers come in."""

from llm_service.api.options import AuthOptions, ServerOptions

__all__ = ["AuthOptions", "ServerOptions"]
