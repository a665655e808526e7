"""``create_app``: settings as ``serve`` has them, a lifespan, and requests in between."""

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

from llm_service import __version__
from llm_service.api import Hosted, ServerOptions
from llm_service.config import SettingsError
from llm_service.environment import NOTHING_TO_SERVE, data_dir_of, load, wants_sandbox
from llm_service.premises import CANNOT_OPEN, Premises, furnish, read_again
from llm_service.runtime import DataDirError, SystemClock, open_data_dir
from llm_service.supervisor import HostedGraphs, first_edition, serve_hosted

NOT_RUNNING: Final = (
    "The gateway is not running: its server must speak ASGI's lifespan, or whoever mounts it must hold "
    "`async with gateway.running():` in a lifespan of its own (docs/embedding.md)."
)


class NotRunning(RuntimeError):
    """A request came before the application was started, or after it was shut down."""


class CannotStart(RuntimeError):
    """The settings, the data directory or a store cannot be used; says why, and what to do."""


def create_app(
    config: str | PathLike[str] | None = None, *, settings: Mapping[str, str] | None = None
) -> "Application":
    """The service as an ASGI application; nothing is read or opened before it starts.

    ``config``: the configuration file, as ``llm-service serve --config`` takes it; else that of the environment.
    ``settings``: what overrides file and environment, by path: ``{"sandbox": "on"}``.
    """
    return Application(None if config is None else Path(config), dict(settings or {}))


class Application:
    """An ASGI application. It starts by ASGI's lifespan, or with ``running``; once at a time."""

    def __init__(self, config: Path | None, overrides: Mapping[str, str]) -> None:
        self._config = config
        self._overrides = overrides
        self._serving: Hosted | None = None
        self._held = False  # from the beginning of its start to its end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """A request, a WebSocket, or the server's lifespan. Raises NotRunning."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._serving is None:
            raise NotRunning(NOT_RUNNING)
        else:
            await self._serving(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve meanwhile; at the end what runs may finish within ``server.shutdown_grace_s``. Raises CannotStart."""
        if self._held:
            raise CannotStart("The gateway is running already.")
        self._held = True
        async with AsyncExitStack() as held:
            held.callback(self._ended)
            with _told():
                graphs = await self._started(held)
            self._serving = Hosted(graphs)
            graphs.current.log.info("serving", hosted=True, version=__version__)
            yield
            graphs.current.log.info("draining")

    async def _started(self, held: AsyncExitStack) -> HostedGraphs:
        loaded, clock = load(self._config, self._overrides), SystemClock()
        refuse_what_a_host_has(loaded.settings.server)
        sandboxed = wants_sandbox(loaded)
        if not sandboxed and not loaded.settings.providers:
            raise CannotStart(NOTHING_TO_SERVE)
        data_dir = held.enter_context(open_data_dir(data_dir_of(loaded)))
        premises = Premises(
            settings=loaded.settings, sandboxed=sandboxed, data_dir=data_dir.path, clock=clock, stream=sys.stderr
        )
        serving = serve_hosted(
            partial(furnish, premises=premises),
            first=first_edition(loaded, clock),
            read=partial(read_again, self._config, self._overrides, sandboxed=sandboxed),
            clock=clock,
        )
        return await held.enter_async_context(serving)

    def _ended(self) -> None:
        self._serving, self._held = None, False

    async def _live(self, receive: Any, send: Any) -> None:
        """ASGI's lifespan. A failure is told as one: else servers take it that there is nothing to be started."""
        await receive()
        at = "startup"
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                at = "shutdown"
                await receive()
        except CannotStart as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except Exception as defect:
            await send({"type": f"lifespan.{at}.failed", "message": f"{type(defect).__name__}: {defect}"})
            raise
        else:
            await send({"type": "lifespan.shutdown.complete"})


def refuse_what_a_host_has(server: ServerOptions) -> None:
    """Settings of a server that this application does not have. Raises CannotStart with all of them."""
    wanted = {
        "server.admin_port": server.admin_port is not None,
        "server.tls": server.tls is not None,
        "server.workers": server.workers > 1,
    }
    if names := [name for name, given in wanted.items() if given]:
        raise CannotStart(
            f"{', '.join(names)}: an application has no ports and no workers of its own; leave that to its server, or "
            "run `llm-service serve`."
        )


@contextmanager
def _told() -> Iterator[None]:
    """Whatever keeps a service from its start, in one form."""
    try:
        yield
    except SettingsError as error:
        raise CannotStart(f"The configuration cannot be used:\n{error}") from error
    except (DataDirError, OSError, *CANNOT_OPEN) as error:
        raise CannotStart(str(error)) from error
