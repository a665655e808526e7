"""Simulated upstreams over real HTTP: for the sandbox mode, and for applications that test themselves."""

from llm_service.sandbox.server import Sandbox

__all__ = ["Sandbox"]
