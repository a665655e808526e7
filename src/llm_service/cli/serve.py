"""``serve``: the service from its settings to its last response, in one process or in several."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import uvloop

from llm_service import __version__
from llm_service.api import ServerOptions, Shares, listen
from llm_service.cli.configuration import complain
from llm_service.cli.output import cannot_listen, cannot_log, print_json, refuse
from llm_service.config import SettingsError, secrets_of
from llm_service.domain import Secret, fact
from llm_service.environment import ALWAYS_THERE, NOTHING_TO_SERVE, data_dir_of, load, wants_sandbox
from llm_service.observability import (
    Arena,
    FileLocks,
    Log,
    Redaction,
    build_log,
    share_stream,
)
from llm_service.premises import CANNOT_OPEN, Premises, furnish, log_file_of, read_again
from llm_service.runtime import (
    Clock,
    DataDirError,
    SystemClock,
    Terminal,
    is_root,
    open_data_dir,
    raise_descriptors,
)
from llm_service.storage import PrivateValkey, PrivateValkeyError
from llm_service.supervisor import (
    Edition,
    Graph,
    Process,
    Read,
    Supervisor,
    SupervisorsEnd,
    first_edition,
    serve_alone,
    serve_as_worker,
    start,
)

AS_ROOT: Final = "nothing here needs root: give the service a user of its own (docs/security.md)"


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
    raise_descriptors()
    clock = SystemClock()
    with ExitStack() as held:
        try:
            log_file = log_file_of(settings.observability, clock, archives=False)
        except OSError as error:
            return refuse(cannot_log(settings.observability.log_file, error), as_json=as_json)
        try:
            data_dir = held.enter_context(open_data_dir(data_dir_of(loaded)))
        except DataDirError as error:
            return refuse(str(error), as_json=as_json)
        listening: list[socket.socket] = []
        for host, port in ports_of(settings.server):
            try:
                listening.append(held.enter_context(listen(host, port)))
            except OSError as error:
                return refuse(cannot_listen(host, port, error), as_json=as_json)
        run = Run(
            first=first_edition(loaded, clock),
            read=partial(read_again, config, overrides, sandboxed=sandboxed),
            listening=listening,
            sandboxed=sandboxed,
            as_json=as_json,
            clock=clock,
            terminal=terminal,
            data_dir=data_dir.path,
            log_file=log_file,
        )
        return run.supervised(held) if settings.server.workers > 1 else run.alone()


def ports_of(server: ServerOptions) -> list[tuple[str, int]]:
    """Where to listen: for everybody, and for operators where they have a port of their own."""
    own = [] if server.admin_port is None else [(server.admin_address, server.admin_port)]
    return [(server.host, server.port), *own]


@fact
class Run:
    """One run of the service. ``log_file``: opened by the process that began the run, where one is configured."""

    first: Edition
    read: Read
    listening: Sequence[socket.socket]
    sandboxed: bool
    as_json: bool
    clock: Clock
    terminal: Terminal
    data_dir: Path
    log_file: TextIO | None = None

    def alone(self) -> int:
        """Serve in this process; the exit code."""

        def announce(graph: Graph) -> None:
            self.announce(graph.log)

        async def serve() -> None:
            log = await serve_alone(
                partial(furnish, premises=self._premises(self.log_file or sys.stderr)),
                first=self.first,
                read=self.read,
                listening=self.listening,
                clock=self.clock,
                terminal=self.terminal,
                announce=announce,
            )
            log.info("stopped")

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except CANNOT_OPEN as error:
            return refuse(str(error), as_json=self.as_json)
        return 0

    def _premises(self, stream: TextIO, private_store: Secret | None = None, arena: Arena | None = None) -> Premises:
        return Premises(
            settings=self.first.loaded.settings,
            sandboxed=self.sandboxed,
            data_dir=self.data_dir,
            clock=self.clock,
            stream=stream,
            private_store=private_store,
            arena=arena,
            admin_port=self.listening[1].getsockname()[1] if len(self.listening) > 1 else None,
        )

    def supervised(self, held: ExitStack) -> int:
        """Serve in workers, and supervise them from this process; the exit code."""
        guard = held.enter_context(tempfile.TemporaryFile(dir=self.data_dir))  # noqa: SIM115 - it has the run's stack
        stream = self.log_file or share_stream(sys.stderr, guard)
        settings = self.first.loaded.settings
        log = build_log(
            settings.observability, clock=self.clock, stream=stream, redaction=Redaction(secrets_of(settings))
        )
        private = None if self.first.loaded.settings.store.redis_url is not None else self._private_store(log)
        locks = held.enter_context(tempfile.TemporaryFile(dir=self.data_dir))  # noqa: SIM115 - it has the run's stack
        arena = Arena.for_workers(self.first.loaded.settings.server.workers, FileLocks(locks))
        premises = self._premises(stream, None if private is None else Secret(private.url), arena)
        supervisor = Supervisor(
            first=self.first,
            start=partial(self._start_worker, premises, Shares(settings.server.workers)),
            read=self.read,
            announce=partial(self.announce, log),
            clock=self.clock,
            log=log,
            terminal=self.terminal,
            companion=private,
        )
        try:
            return supervisor.run()
        except (OSError, PrivateValkeyError) as error:
            return refuse(f"The service cannot be started: {error}.", as_json=self.as_json)

    def _private_store(self, log: Log) -> PrivateValkey:
        """The Valkey that the workers share where the settings name none."""

        def on_event(said: str) -> None:
            log.warning("private store", said=said)

        return PrivateValkey(self.data_dir / "valkey", on_event, clock=self.clock)

    def _start_worker(
        self, premises: Premises, shares: Shares, number: int, edition: Edition, others: Iterable[SupervisorsEnd]
    ) -> Process:
        def work(connection: socket.socket) -> None:
            serving = serve_as_worker(
                partial(furnish, premises=premises),
                number=number,
                share=shares.of(number),
                first=edition,
                listening=self.listening,
                connection=connection,
                clock=self.clock,
            )
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serving)

        def on_failure(failure: BaseException) -> None:
            settings = edition.loaded.settings
            log = build_log(
                settings.observability,
                clock=self.clock,
                stream=premises.stream,
                worker=number,
                redaction=Redaction(secrets_of(settings)),
            )
            log.error("worker failed", exc_info=failure)

        return start(work, not_its_own=others, on_failure=on_failure)

    def announce(self, log: Log) -> None:
        """Say on standard output where the service is and what it talks to, and put it down in the log."""
        settings = self.first.loaded.settings
        address, *others = (address_of(one, tls=settings.server.tls is not None) for one in self.listening)
        admin = {"admin_address": others[0]} if others else {}
        providers = sorted({*settings.providers, *(ALWAYS_THERE if self.sandboxed else ())})
        if self.as_json:
            print_json({"address": address, **admin, "sandbox": self.sandboxed, "providers": providers})
        else:
            print(banner(address, providers, sandboxed=self.sandboxed, admin=admin.get("admin_address")))
        sys.stdout.flush()
        workers = {"workers": settings.server.workers} if settings.server.workers > 1 else {}
        serving = {name: options.enabled for name, options in settings.providers.items()}
        enabled = [name for name in providers if serving.get(name, True)]
        facts = {"address": address, **admin, "version": __version__, "sandbox": self.sandboxed, "providers": enabled}
        log.info("serving", **facts, **workers)
        for note in self.first.loaded.notes:
            log.warning("configuration", note=note)
        if is_root():
            log.warning("running as root", note=AS_ROOT)


def address_of(listening: socket.socket, *, tls: bool = False) -> str:
    """Where the service can be asked."""
    host, port = listening.getsockname()[:2]
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{named}:{port}"


def banner(address: str, providers: Iterable[str], *, sandboxed: bool, admin: str | None = None) -> str:
    """The first lines that an operator sees."""
    lines = [f"llm-service on {address}  (docs: {address}/docs)"]
    if admin is not None:
        lines.append(f"for operators: {admin}  (dashboard: {admin}/dashboard)")
    lines.append(f"providers: {', '.join(providers)}")
    if sandboxed:
        lines += [
            "SANDBOX: these providers are simulated; nothing is asked of a real model.",
            "For real ones set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or write a configuration file.",
        ]
    return "\n".join(lines)
