"""``serve``: the service from its settings to its last response, in one process or in several."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

import uvloop

from llm_service import __version__
from llm_service.api import ServerOptions, listen
from llm_service.bootstrap import build_service
from llm_service.cli.configuration import complain, load
from llm_service.cli.output import cannot_listen, print_json, refuse
from llm_service.cli.sandbox_mode import ALWAYS_THERE, NOTHING_TO_SERVE, simulate, simulated_providers, wants_sandbox
from llm_service.config import Loaded, SettingsError
from llm_service.observability import Log, build_access_log, build_log, share_stream
from llm_service.runtime import (
    Clock,
    DataDirError,
    SystemClock,
    Terminal,
    default_data_dir,
    open_data_dir,
)
from llm_service.services import Standing
from llm_service.supervisor import (
    Build,
    Edition,
    Graph,
    Post,
    Process,
    Read,
    ReloadRefused,
    Supervisor,
    SupervisorsEnd,
    first_edition,
    serve_alone,
    serve_as_worker,
    start,
)


def run_service(config: Path | None, overrides: Mapping[str, str], *, as_json: bool) -> int:
    """Serve until a signal ends it; the exit code."""
    terminal = Terminal()
    try:
        loaded = load(config, overrides)
    except SettingsError as error:
        return complain(error, as_json=as_json)
    settings, sandboxed = loaded.settings, wants_sandbox(loaded)
    if not sandboxed and not settings.providers:
        return refuse(NOTHING_TO_SERVE, as_json=as_json)
    with ExitStack() as held:
        try:
            data_dir = held.enter_context(open_data_dir(data_dir_of(settings.server, sandboxed=sandboxed)))
            listening = held.enter_context(listen(settings.server.host, settings.server.port))
        except DataDirError as error:
            return refuse(str(error), as_json=as_json)
        except OSError as error:
            return refuse(cannot_listen(settings.server.host, settings.server.port, error), as_json=as_json)
        clock = SystemClock()
        run = Run(
            first=first_edition(loaded, clock),
            read=partial(read_again, config, overrides, sandboxed=sandboxed),
            listening=listening,
            sandboxed=sandboxed,
            as_json=as_json,
            clock=clock,
            terminal=terminal,
        )
        return run.supervised(held, data_dir.path) if settings.server.workers > 1 else run.alone()


def data_dir_of(server: ServerOptions, *, sandboxed: bool) -> Path:
    """Where the state lies; the sandbox's lies apart."""
    base = server.data_dir or default_data_dir(os.environ)
    return base / "sandbox" if sandboxed else base


def read_again(config: Path | None, overrides: Mapping[str, str], *, sandboxed: bool) -> Loaded:
    """The settings as they are now. Raises SettingsError, and ReloadRefused where they make another service of this."""
    loaded = load(config, overrides)
    if wants_sandbox(loaded) != sandboxed:
        raise ReloadRefused(f"simulated providers would go {'off' if sandboxed else 'on'}: that takes a restart")
    if not sandboxed and not loaded.settings.providers:
        raise ReloadRefused(NOTHING_TO_SERVE)
    return loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the service."""

    first: Edition
    read: Read
    listening: socket.socket
    sandboxed: bool
    as_json: bool
    clock: Clock
    terminal: Terminal

    def alone(self) -> int:
        """Serve in this process; the exit code."""

        def announce(graph: Graph) -> None:
            self.announce(graph.log)

        async def serve() -> None:
            log = await serve_alone(
                partial(furnish, sandboxed=self.sandboxed, clock=self.clock, stream=sys.stderr),
                first=self.first,
                read=self.read,
                listening=self.listening,
                clock=self.clock,
                terminal=self.terminal,
                announce=announce,
            )
            log.info("stopped")

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
        return 0

    def supervised(self, held: ExitStack, data_dir: Path) -> int:
        """Serve in workers, and supervise them from this process; the exit code."""
        guard = held.enter_context(tempfile.TemporaryFile(dir=data_dir))  # noqa: SIM115 - it has the run's stack
        stream = share_stream(sys.stderr, guard)
        observability = self.first.loaded.settings.observability
        log = build_log(observability, clock=self.clock, stream=stream)
        supervisor = Supervisor(
            first=self.first,
            start=partial(self._start_worker, stream),
            read=self.read,
            announce=partial(self.announce, log),
            clock=self.clock,
            log=log,
            terminal=self.terminal,
        )
        try:
            return supervisor.run()
        except OSError as error:
            return refuse(f"The service cannot be started: {error}.", as_json=self.as_json)

    def _start_worker(self, stream: TextIO, number: int, edition: Edition, others: Iterable[SupervisorsEnd]) -> Process:
        def work(connection: socket.socket) -> None:
            serving = serve_as_worker(
                partial(furnish, sandboxed=self.sandboxed, clock=self.clock, stream=stream),
                number=number,
                first=edition,
                listening=self.listening,
                connection=connection,
            )
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serving)

        def on_failure(failure: BaseException) -> None:
            options = edition.loaded.settings.observability
            build_log(options, clock=self.clock, stream=stream, worker=number).error("worker failed", exc_info=failure)

        return start(work, not_its_own=others, on_failure=on_failure)

    def announce(self, log: Log) -> None:
        """Say on standard output where the service is and what it talks to, and put it down in the log."""
        settings = self.first.loaded.settings
        address = address_of(self.listening)
        providers = sorted({*settings.providers, *(ALWAYS_THERE if self.sandboxed else ())})
        if self.as_json:
            print_json({"address": address, "sandbox": self.sandboxed, "providers": providers})
        else:
            print(banner(address, providers, sandboxed=self.sandboxed))
        sys.stdout.flush()
        workers = {"workers": settings.server.workers} if settings.server.workers > 1 else {}
        serving = {name: options.enabled for name, options in settings.providers.items()}
        enabled = [name for name in providers if serving.get(name, True)]
        facts = {"address": address, "version": __version__, "sandbox": self.sandboxed, "providers": enabled}
        log.info("serving", **facts, **workers)
        for note in self.first.loaded.notes:
            log.warning("configuration", note=note)


async def furnish(held: AsyncExitStack, post: Post, *, sandboxed: bool, clock: Clock, stream: TextIO) -> Build:
    """What builds the graphs of one process; simulated providers stay the same for all of them."""
    simulated = await simulate(held=held) if sandboxed else None
    started_at = clock.monotonic()

    async def build(edition: Edition) -> Graph:
        settings = edition.loaded.settings
        if simulated is not None:
            settings = replace(settings, providers=simulated_providers(simulated, settings.providers))
        log = build_log(settings.observability, clock=clock, stream=stream, worker=post.worker)
        access_log = build_access_log(settings.observability, log=log, clock=clock, stream=stream, worker=post.worker)
        standing = Standing(
            generation=edition.generation.number,
            loaded_at=edition.generation.loaded_at,
            started_at=started_at,
            worker=post.worker,
        )
        service = build_service(
            settings, log=log, listening=[access_log], sandbox=sandboxed, clock=clock, standing=standing
        )
        return Graph(edition=edition, service=service, log=log)

    return build


def address_of(listening: socket.socket) -> str:
    """Where the service can be asked."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def banner(address: str, providers: Iterable[str], *, sandboxed: bool) -> str:
    """The first lines that an operator sees."""
    lines = [f"llm-service on {address}  (docs: {address}/docs)", f"providers: {', '.join(providers)}"]
    if sandboxed:
        lines += [
            "SANDBOX: these providers are simulated; nothing is asked of a real model.",
            "For real ones set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or write a configuration file.",
        ]
    return "\n".join(lines)
