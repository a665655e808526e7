"""Where limits stand now: the configured ones, or those of one key or user."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from llm_service.admission import Gate, Rules
from llm_service.domain import WINDOW_S, ApiKey, Caller, Limit, LimitState, fact, usd_text
from llm_service.services.authenticator import ADMIN, LOCAL
from llm_service.services.issuers.claims import is_of_issuer
from llm_service.services.moments import moment_text
from llm_service.storage import Reach


@fact
class Standings:
    """States of limits; ``reach``: for whom they hold; ``stands_in``: this process counts alone for now."""

    states: Sequence[LimitState]
    reach: Reach
    stands_in: bool


class LimitStates:
    """Reads limits, and takes nothing from them. ``key``: finds an issued key, or raises NotFound."""

    def __init__(self, rules: Rules, gate: Gate, *, key: Callable[[str], Awaitable[ApiKey]]) -> None:
        self._rules = rules
        self._gate = gate
        self._key = key

    async def states(self, *, key_id: str | None = None, user: str | None = None) -> Standings:
        """The limits of everybody, of models and of providers; or else those of one key, of one user, or of both.

        Raises NotFound for an unknown key, and LedgerUnavailable where the keys cannot be read.
        """
        limits: list[Limit] = []
        if key_id is not None:
            limits += self._rules.of_key(await self._caller(key_id))
        if user is not None:
            limits += self._rules.of_user(user)
        if key_id is None and user is None:
            limits += self._rules.configured()
        states = await self._gate.read(limits)
        return Standings(states=states, reach=self._gate.reach, stands_in=self._gate.local)

    async def _caller(self, key_id: str) -> Caller:
        for without_key in (LOCAL, ADMIN):
            if key_id == without_key.key_id:
                return without_key
        if is_of_issuer(key_id):
            return Caller(key_id=key_id, scopes=frozenset())
        key = await self._key(key_id)
        return Caller(key_id=key.id, scopes=key.scopes, key=key)


def standings_object(standings: Standings) -> dict[str, Any]:
    """Where limits stand, as the interface shows it."""
    data = [state_object(state) for state in standings.states]
    return {"data": data, "reach": standings.reach, "stands_in": standings.stands_in}


def state_object(state: LimitState) -> dict[str, Any]:
    """One limit: money as decimals in USD, everything else as counts; null where it cannot be known now."""
    limit = state.limit
    shown: dict[str, Any] = {
        "scope": limit.scope,
        "subject": limit.subject or None,
        "kind": limit.kind,
        "window_s": WINDOW_S if limit.kind in ("requests", "tokens") else None,
        "period": limit.period,
        "limit": _amount(limit, limit.amount),
        "used": _amount(limit, state.used),
        "reserved": _amount(limit, state.reserved),
        "remaining": _amount(limit, _remaining(state)),
    }
    if limit.ends_at is not None:
        shown["resets_at"] = moment_text(datetime.fromtimestamp(limit.ends_at, UTC))
    return shown


def _remaining(state: LimitState) -> int | None:
    if state.used is None or state.reserved is None:
        return None
    return max(state.limit.amount - state.used - state.reserved, 0)


def _amount(limit: Limit, amount: int | None) -> str | int | None:
    return usd_text(amount) if amount is not None and limit.kind == "money" else amount
