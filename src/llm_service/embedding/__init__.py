"""The service as an ASGI application: for any ASGI server, alone or below another application."""

from llm_service.embedding.application import Application, CannotStart, NotRunning, create_app

__all__ = ["Application", "CannotStart", "NotRunning", "create_app"]
