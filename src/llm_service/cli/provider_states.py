"""``providers enable``, ``disable``, ``drain`` and ``reset``: in the database, with the service stopped or running."""

from llm_service.cli.stored import Shown, Stored, acted, run_on_database
from llm_service.cli.where import Where
from llm_service.domain import NotFound, ProviderState
from llm_service.environment import ALWAYS_THERE
from llm_service.providers import ProviderOptions
from llm_service.runtime import SystemClock
from llm_service.services import STATE_ACTS, Override, override_object, put_override, read_overrides


def put_state(where: Where, name: str, state: ProviderState | None, *, as_json: bool) -> int:
    """Decide about a provider; ``None``: as configured. The exit code."""

    async def put(stored: Stored) -> Shown:
        options = _configured(stored, name)
        await put_override(stored.database.facts, name, state, now=SystemClock().now())
        return state_row(name, options, (await read_overrides(stored.database.facts)).overrides.get(name))

    async def act(stored: Stored) -> Shown:
        word = "provider.reset" if state is None else STATE_ACTS[state]
        return await acted(stored, word, put(stored), subject=name)

    return run_on_database(where, act, lambda row: print(state_line(row)), what="The providers", as_json=as_json)


def state_row(name: str, options: ProviderOptions, override: Override | None) -> Shown:
    """Whether a provider gets requests, and who says so."""
    configured: ProviderState = "enabled" if options.enabled else "disabled"
    return {
        "name": name,
        "state": configured if override is None else override.state,
        "configured": configured,
        "override": override_object(override),
    }


def state_line(row: Shown) -> str:
    """The same as a line."""
    override = row["override"]
    said = "as configured" if override is None else f"since {override['since']}, configured: {row['configured']}"
    return f"{row['name']}: {row['state']}, {said}"


def _configured(stored: Stored, name: str) -> ProviderOptions:
    """Raises NotFound."""
    known = {**(ALWAYS_THERE if stored.sandboxed else {}), **stored.settings.providers}
    if name not in known:
        raise NotFound(f"No provider is named {name}; configured are: {', '.join(known) or 'none'}.")
    return known[name]
