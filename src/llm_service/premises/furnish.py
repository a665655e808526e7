"""What a process that serves is given before its first graph, and what builds that one and those after it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

from llm_service.api import tls_context
from llm_service.bootstrap import Surroundings, build_service, longest_s, open_stores
from llm_service.config import Loaded, Settings, secrets_of
from llm_service.domain import InvalidRequest, LedgerUnavailable, Secret, fact
from llm_service.environment import NOTHING_TO_SERVE, load, simulate, simulated_providers, wants_sandbox
from llm_service.filters import FilterUnusable
from llm_service.observability import (
    Arena,
    LevelOverride,
    ObservabilityOptions,
    Redaction,
    build_access_log,
    build_log,
    open_log_file,
)
from llm_service.runtime import Clock, system_random
from llm_service.services import HashKeyError, Standing
from llm_service.storage import AddressError, DatabaseError
from llm_service.supervisor import Build, Edition, Graph, Post, Reload, ReloadRefused

CANNOT_OPEN: Final = (DatabaseError, HashKeyError, AddressError, LedgerUnavailable, FilterUnusable)
"""What keeps a process from opening its stores, or from being built; each says what to do."""


def read_again(config: Path | None, overrides: Mapping[str, str], *, sandboxed: bool) -> Loaded:
    """The settings as they are now. Raises SettingsError, and ReloadRefused where they make another service of this."""
    loaded = load(config, overrides)
    if wants_sandbox(loaded) != sandboxed:
        raise ReloadRefused(f"simulated providers would go {'off' if sandboxed else 'on'}: that takes a restart")
    if not sandboxed and not loaded.settings.providers:
        raise ReloadRefused(NOTHING_TO_SERVE)
    return loaded


def log_file_of(
    options: ObservabilityOptions, clock: Clock, *, worker: int | None = None, archives: bool = True
) -> TextIO | None:
    """The configured file for log lines, opened by this process. Raises OSError where it cannot be written."""
    if options.log_file is None:
        return None
    return open_log_file(options, clock=clock, worker=worker, archives=archives)


@fact
class Premises:
    """Where a process serves: its data, its clock, its stream for log lines, and the settings of its stores.

    Where log lines go to a file, the process that serves opens it for itself.
    ``private_store``: the address of the Valkey that the workers of this machine share, where they have one; ``arena``:
    where they keep their figures. ``admin_port``: where operators are answered, if that is elsewhere.
    """

    settings: Settings
    sandboxed: bool
    data_dir: Path
    clock: Clock
    stream: TextIO
    private_store: Secret | None = None
    arena: Arena | None = None
    admin_port: int | None = None


async def furnish(held: AsyncExitStack, post: Post, *, premises: Premises) -> Build:
    """What builds the graphs of one process; its stores and simulated providers stay the same for all of them."""
    sandboxed, clock, first = premises.sandboxed, premises.clock, premises.settings
    stream = log_file_of(first.observability, clock, worker=post.worker) or premises.stream
    override = LevelOverride()
    redaction = Redaction(secrets_of(first))
    log_to = partial(build_log, clock=clock, stream=stream, worker=post.worker, override=override, redaction=redaction)
    simulated = await simulate(held=held) if sandboxed else None
    started_at = clock.monotonic()
    around = Surroundings(
        data_dir=premises.data_dir,
        clock=clock,
        dice=system_random(),
        log=log_to(first.observability),
        redaction=redaction,
        redis_url=premises.private_store,
        arena=premises.arena,
        level_override=override,
        worker=post.worker,
    )
    stores = await open_stores(
        held,
        around,
        store=first.store,
        ledger=first.ledger,
        cache=first.cache,
        streams=first.streams,
        hash_keys=first.auth.hash_key,
        longest_s=longest_s(first.providers),
    )

    async def build(edition: Edition) -> Graph:
        settings = edition.loaded.settings
        if simulated is not None:
            settings = replace(settings, providers=simulated_providers(simulated, settings.providers))
        tls = None if settings.server.tls is None else tls_context(settings.server.tls)
        log = log_to(settings.observability)
        access_log = build_access_log(
            settings.observability,
            log=log,
            clock=clock,
            stream=stream,
            worker=post.worker,
            override=override,
            redaction=redaction,
        )
        standing = Standing(
            generation=edition.generation.number,
            loaded_at=edition.generation.loaded_at,
            started_at=started_at,
            worker=post.worker,
            admin_port=premises.admin_port,
        )
        service = build_service(
            settings,
            stores,
            log=log,
            listening=[access_log],
            sandbox=sandboxed,
            clock=clock,
            standing=standing,
            reload=partial(reload_for, post.reload),
        )
        service.upkeep.start()
        return Graph(edition=edition, service=service, log=log, tls=tls)

    return build


async def reload_for(reload: Reload) -> Mapping[str, Any]:
    """A reload as the admin route asks for it. Raises InvalidRequest with every reason."""
    try:
        generation = await reload.reload()
    except ReloadRefused as refused:
        raise InvalidRequest(f"The settings in force stay: {refused}") from refused
    return {"generation": generation.number, "loaded_at": generation.loaded_at.isoformat().replace("+00:00", "Z")}
