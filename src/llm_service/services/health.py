"""How the process is doing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from llm_service.domain import fact
from llm_service.runtime import Clock
from llm_service.services.provider_health import ProviderHealth, health_object
from llm_service.services.store_health import StoreHealth
from llm_service.services.system_health import SystemHealth


@fact
class Standing:
    """Which process this is, and which settings it goes by."""

    generation: int
    """1 at the start of the service, one more with each reload."""
    loaded_at: datetime
    """When these settings were read."""
    started_at: float
    """When the process began to serve, in monotonic seconds: a reload does not change it."""
    worker: int | None = None
    """Its number among several workers, from 1."""
    admin_port: int | None = None
    """Where operators are answered, if they have a port of their own."""


class Health:
    """Liveness is being asked at all; readiness ends when the process begins to drain. Neither looks at providers.

    ``providers``: their kinds by name, for where nobody minds them (``of_providers``).
    """

    def __init__(
        self,
        *,
        version: str,
        sandbox: bool,
        clock: Clock,
        providers: Mapping[str, str] = MappingProxyType({}),
        standing: Standing | None = None,
        stores: StoreHealth | None = None,
        system: SystemHealth | None = None,
        of_providers: ProviderHealth | None = None,
    ) -> None:
        self._version = version
        self._sandbox = sandbox
        self._providers = providers
        self._clock = clock
        self._stores = stores
        self._system = system
        self._of_providers = of_providers
        self._standing = standing or Standing(generation=1, loaded_at=clock.now(), started_at=clock.monotonic())
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return not self.draining

    async def report(self) -> dict[str, Any]:
        """Everything that is known, for ``GET /health``; waits for the database for a second at most."""
        standing = self._standing
        report: dict[str, Any] = {
            "status": "ok",
            "version": self._version,
            "uptime_s": round(self._clock.monotonic() - standing.started_at, 1),
            "config": {"generation": standing.generation, "loaded_at": _rfc3339(standing.loaded_at)},
            "providers": self._providers_report(),
            "sandbox": self._sandbox,
        }
        if self._stores is not None:
            report["stores"] = await self._stores.report()
        if self._system is not None:
            report["system"] = self._system.report()
        if standing.worker is not None:
            report["worker"] = standing.worker
        if standing.admin_port is not None:
            report["admin_port"] = standing.admin_port
        if self._sandbox:
            report["sandbox_note"] = (
                "The providers are simulated. Set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or write a configuration "
                "file, to use real ones."
            )
        report["status"] = "draining" if self.draining else "degraded" if _is_degraded(report) else "ok"
        return report

    def _providers_report(self) -> dict[str, Any]:
        of = self._of_providers
        if of is None:
            return {name: {"kind": kind} for name, kind in self._providers.items()}
        return {name: health_object(of.report(name)) for name in of.kinds}


def _is_degraded(report: Mapping[str, Any]) -> bool:
    """Whether a provider that is in use, or a store, is not as it should be. Being ready does not depend on it."""
    if any(one.get("state") in ("degraded", "down") for one in report["providers"].values()):
        return True
    stores = report.get("stores")
    if stores is None:
        return False
    away = any(not stores[name]["up"] for name in ("limits", "cache", "database"))
    return away or stores["ledger"]["error"] is not None


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
