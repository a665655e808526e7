"""Which of the configured providers get requests: as configured, unless it was decided otherwise at run time."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import Body, InvalidValue, ProviderState
from llm_service.services.provider_overrides import Override, ProviderOverrides

Changed = Callable[[str, ProviderState], None]

_FIELDS: Final = ("enabled", "drain")


class ProviderStates:
    """The states under one generation of the settings. ``enabled``: what these say, by the provider's name."""

    def __init__(self, enabled: Mapping[str, bool], overrides: ProviderOverrides) -> None:
        self._configured: Mapping[str, ProviderState] = MappingProxyType(
            {name: "enabled" if is_on else "disabled" for name, is_on in enabled.items()}
        )
        self._overrides = overrides
        self._hold: dict[str, ProviderState] = {}
        self._telling: list[Callable[[str], None]] = [self._take]
        for name in self._configured:
            self._take(name)
        overrides.listen(self._take)

    def __iter__(self) -> Iterator[str]:
        return iter(self._configured)

    def __contains__(self, name: object) -> bool:
        return name in self._configured

    def state_of(self, name: str) -> ProviderState:
        """The state that holds now; without I/O, for each request. Of a name that is not configured: disabled."""
        return self._hold.get(name, "disabled")

    def is_on(self, name: str) -> bool:
        """Whether it takes new requests."""
        return self._hold.get(name) == "enabled"

    def configured(self, name: str) -> ProviderState:
        """What the settings say."""
        return self._configured[name]

    def override_of(self, name: str) -> Override | None:
        """What was decided at run time, if anything was."""
        return self._overrides.of(name)

    def on_change(self, tell: Changed) -> None:
        """Call back with a provider and its state from now on, each time another one holds, until ``close``."""
        known = {name: self.state_of(name) for name in self._configured}

        def hear(name: str) -> None:
            state = self.state_of(name)
            if name in known and known[name] != state:
                known[name] = state
                tell(name, state)

        self._telling.append(hear)
        self._overrides.listen(hear)

    async def catch_up(self) -> None:
        """Take in what was decided elsewhere until now. Raises StoreUnavailable, and leaves all as it is."""
        await self._overrides.catch_up()

    async def put(self, name: str, state: ProviderState | None) -> None:
        """Decide, for all processes; ``None``: as configured. Raises StoreUnavailable where nothing was decided."""
        await self._overrides.put(name, state)

    def _take(self, name: str) -> None:
        if name in self._configured:
            override = self._overrides.of(name)
            self._hold[name] = self._configured[name] if override is None else override.state

    def close(self) -> None:
        """Call nobody back any more; the states stay as they are."""
        for hear in self._telling:
            self._overrides.leave(hear)
        self._telling.clear()


def decided(body: Body, now: Override | None) -> ProviderState | None:
    """What a change says about a provider with this override; ``None``: as configured. The last word holds.

    ``enabled``: on or off; ``drain``: nothing new, what runs finishes; false or null takes that back, ``enabled: null``
    takes everything back. Raises InvalidValue.
    """
    for name, value in body.items():
        if name not in _FIELDS:
            raise InvalidValue(
                f"A provider has no field '{name[:100]}' to change: give 'enabled' or 'drain'.", param=name[:100]
            )
        if value is not None and not isinstance(value, bool):
            raise InvalidValue(f"'{name}' must be true, false or null.", param=name)
    if not body:
        raise InvalidValue("Nothing is to be changed: give 'enabled' or 'drain'.", param="enabled")
    enabled, drain = body.get("enabled"), body.get("drain")
    if drain and enabled is False:
        raise InvalidValue("A provider cannot be disabled and drained at once: give one of them.", param="drain")
    if drain:
        return "draining"
    if "enabled" in body:
        return None if enabled is None else "enabled" if enabled else "disabled"
    return None if now is None or now.state == "draining" else now.state


def override_object(override: Override | None) -> dict[str, Any] | None:
    """An override as the interface shows it."""
    return None if override is None else {"state": override.state, "since": override.since}
