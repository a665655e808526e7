"""``serve``: one process from its settings to its last response."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import uvloop

from llm_service import __version__
from llm_service.api import HttpServer, ServerOptions, listen
from llm_service.bootstrap import Service, build_service
from llm_service.cli.configuration import complain, load
from llm_service.cli.output import cannot_listen, print_json, refuse
from llm_service.cli.sandbox_mode import NOTHING_TO_SERVE, simulate, wants_sandbox
from llm_service.cli.signals import Stop
from llm_service.config import Loaded, Settings, SettingsError
from llm_service.observability import LibraryLog, Log, build_access_log, build_log
from llm_service.runtime import DataDirError, SystemClock, default_data_dir, open_data_dir, settle_memory


def run_service(config: Path | None, overrides: Mapping[str, str], *, as_json: bool) -> int:
    """Serve until a signal ends it; the exit code."""
    try:
        loaded = load(config, overrides)
    except SettingsError as error:
        return complain(error, as_json=as_json)
    settings, sandboxed = loaded.settings, wants_sandbox(loaded)
    if not sandboxed and not settings.providers:
        return refuse(NOTHING_TO_SERVE, as_json=as_json)
    with ExitStack() as held:
        try:
            held.enter_context(open_data_dir(data_dir_of(settings.server, sandboxed=sandboxed)))
            listening = held.enter_context(listen(settings.server.host, settings.server.port))
        except DataDirError as error:
            return refuse(str(error), as_json=as_json)
        except OSError as error:
            return refuse(cannot_listen(settings.server.host, settings.server.port, error), as_json=as_json)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(loaded, listening, sandboxed=sandboxed, as_json=as_json))


def data_dir_of(server: ServerOptions, *, sandboxed: bool) -> Path:
    """Where the state lies; the sandbox's lies apart."""
    base = server.data_dir or default_data_dir(os.environ)
    return base / "sandbox" if sandboxed else base


async def serve(loaded: Loaded, listening: socket.socket, *, sandboxed: bool, as_json: bool) -> int:
    """Build, serve, drain, close."""
    settings = loaded.settings
    clock = SystemClock()
    stop = Stop()
    log = build_log(settings.observability, clock=clock)
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryLog(log)], force=True)
    async with AsyncExitStack() as held:
        if sandboxed:
            settings = replace(settings, providers=await simulate(settings.providers, held=held))
        access_log = build_access_log(settings.observability, log=log, clock=clock)
        service = build_service(settings, log=log, listening=[access_log], sandbox=sandboxed, clock=clock)
        held.push_async_callback(service.aclose)
        address = address_of(listening)
        announce(address, settings, sandboxed=sandboxed, as_json=as_json)
        log.info(
            "serving", address=address, version=__version__, sandbox=sandboxed, providers=sorted(service.providers)
        )
        for note in loaded.notes:
            log.warning("configuration", note=note)
        settle_memory()
        await serve_until(stop, service, options=settings.server, listening=listening, log=log)
    log.info("stopped")
    return 0


async def serve_until(
    stop: Stop, service: Service, *, options: ServerOptions, listening: socket.socket, log: Log
) -> None:
    """Serve; when asked to stop take nothing new, let running requests finish, and end."""
    server = HttpServer(service.app)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[listening]))
    waiting = loop.create_task(stop.asked.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    log.info("draining", grace_s=options.shutdown_grace_s)
    service.health.draining = True
    await service.door.drain(options.shutdown_grace_s, hurried=stop.hurried)
    server.should_exit = True
    await serving


def address_of(listening: socket.socket) -> str:
    """Where the service can be asked."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(address: str, settings: Settings, *, sandboxed: bool, as_json: bool) -> None:
    """Say on standard output where the service is and what it talks to."""
    if as_json:
        print_json({"address": address, "sandbox": sandboxed, "providers": sorted(settings.providers)})
    else:
        print(banner(address, settings, sandboxed=sandboxed))
    sys.stdout.flush()


def banner(address: str, settings: Settings, *, sandboxed: bool) -> str:
    """The first lines that an operator sees."""
    lines = [f"llm-service on {address}  (docs: {address}/docs)", f"providers: {', '.join(sorted(settings.providers))}"]
    if sandboxed:
        lines += [
            "SANDBOX: these providers are simulated; nothing is asked of a real model.",
            "For real ones set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or write a configuration file.",
        ]
    return "\n".join(lines)
