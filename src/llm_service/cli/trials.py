"""The settings of the cache that a simulation tries: what is given, and else a small grid."""

from collections.abc import Sequence
from typing import Any, Final, cast, get_args

from llm_service.cache import TenantScope, Traffic, Trial, TrialResult
from llm_service.domain import fact, usd_text

TTLS_S: Final = (60.0, 600.0, 3600.0, 86400.0)
SIZES: Final = (16 * 2**20, 256 * 2**20)
MOST_TRIALS: Final = 200
SCOPES: Final[Sequence[TenantScope]] = get_args(TenantScope)


class WrongGrid(Exception):
    """What is wrong with the given settings."""


@fact
class Grid:
    """Settings as they were given; without any of a kind the usual ones are tried."""

    ttls_s: Sequence[float] = ()
    sizes: Sequence[int] = ()
    scopes: Sequence[str] = ()
    recorded: str = "key"
    alone: bool = False

    @property
    def recorded_scope(self) -> TenantScope:
        """Raises WrongGrid."""
        return _scope(self.recorded, "--recorded-scope")

    def trials(self, traffic: Traffic) -> list[Trial]:
        """Every combination. Without scopes those that the log can tell. Raises WrongGrid."""
        scopes = [_scope(text, "--scope") for text in self.scopes] or traffic.exact_scopes
        ttls_s, sizes = self.ttls_s or TTLS_S, self.sizes or SIZES
        if not all(0 < ttl_s < float("inf") for ttl_s in ttls_s):
            raise WrongGrid("--ttl must be a number of seconds above 0.")
        if not all(size > 0 for size in sizes):
            raise WrongGrid("--max-bytes must be above 0.")
        if len(scopes) * len(ttls_s) * len(sizes) > MOST_TRIALS:
            raise WrongGrid(f"These are more than {MOST_TRIALS} combinations: leave some out.")
        return [
            Trial(ttl_s=ttl_s, max_bytes=size, scope=scope, coalescing=not self.alone)
            for scope in dict.fromkeys(scopes)
            for size in dict.fromkeys(sizes)
            for ttl_s in dict.fromkeys(ttls_s)
        ]


def _scope(text: str, option: str) -> TenantScope:
    if text not in SCOPES:
        raise WrongGrid(f"{option} must be one of {', '.join(SCOPES)}.")
    return cast("TenantScope", text)


def result_object(result: TrialResult) -> dict[str, Any]:
    """What came of a trial, as data."""
    trial = result.trial
    return {
        "scope": trial.scope,
        "max_bytes": trial.max_bytes,
        "ttl_s": trial.ttl_s,
        "coalescing": trial.coalescing,
        "lookups": result.lookups,
        "hit_ratio": round(result.hit_ratio, 6),
        "coalesced_ratio": round(result.coalesced_ratio, 6),
        "saved_usd": usd_text(result.saved_nano_usd),
        "peak_entries": result.peak_entries,
        "peak_bytes": result.peak_bytes,
        "evictions": result.evictions,
        "at_least": result.at_least,
    }
