"""How the process is doing."""

from collections.abc import Mapping
from typing import Any

from llm_service.runtime import Clock


class Health:
    """Liveness is being asked at all; readiness ends when the process begins to drain."""

    def __init__(self, *, version: str, sandbox: bool, providers: Mapping[str, str], clock: Clock) -> None:
        self._version = version
        self._sandbox = sandbox
        self._providers = providers
        self._clock = clock
        self._started_at = clock.monotonic()
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return not self.draining

    def report(self) -> dict[str, Any]:
        """Everything that is known, for ``GET /health``."""
        report: dict[str, Any] = {
            "status": "draining" if self.draining else "ok",
            "version": self._version,
            "uptime_s": round(self._clock.monotonic() - self._started_at, 1),
            "providers": {name: {"kind": kind} for name, kind in self._providers.items()},
            "sandbox": self._sandbox,
        }
        if self._sandbox:
            report["sandbox_note"] = (
                "The providers are simulated. Set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or write a configuration "
                "file, to use real ones."
            )
        return report
