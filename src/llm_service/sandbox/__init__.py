"""Simulated upstreams over real HTTP, for the sandbox mode, for applications that test themselves, and for our own tests."""

from llm_service.sandbox.server import Sandbox, serve_forever

__all__ = ["Sandbox", "serve_forever"]
