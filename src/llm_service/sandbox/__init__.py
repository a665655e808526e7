"""Simulated upstreams over real HTTP: for the sandbox mode, and for applications that test themselves."""

from llm_service.sandbox.server import Sandbox, serve_forever

__all__ = ["Sandbox", "serve_forever"]
