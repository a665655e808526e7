"""The REST surface as one ASGI application: hot routes by a look-up, everything else through Starlette's router."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as StarletteRoute

from llm_service.api.acts import CUT_OFF, Acts
from llm_service.api.answered import Answered, overheard, unheard
from llm_service.api.client import Lane
from llm_service.api.graphql.door import GraphqlDoor
from llm_service.api.http_request import (
    App,
    HungUp,
    Receive,
    Scope,
    Send,
    at_admin_port,
    credentials_of,
    headers_of,
    peer_of,
)
from llm_service.api.rest.asgi_client import AsgiClient
from llm_service.api.rest.generate import METHOD, GenerateDoor, HotRoute
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.responses import error_response
from llm_service.api.rest.routes import HOT_ROUTES, RESERVED_PATHS, SOCKET_PATHS, Route
from llm_service.domain import (
    Caller,
    Credentials,
    InternalError,
    InvalidApiKey,
    LLMServiceError,
    MethodNotAllowed,
    NotFound,
    require_scope,
)
from llm_service.observability import Log
from llm_service.runtime import Clock, IdSource, Tasks
from llm_service.services import Authenticator
from llm_service.storage import ActDoor

GRAPHQL: Final = "/graphql"
NO_STORE: Final = (b"cache-control", b"no-store")
"""For whatever does not say itself how long it may be kept: what is told here is for who asked, and for now."""
OTHER: Final = "other"
"""In place of a route's template, where none serves the address."""


class RestApp:
    """What the server calls for every connection event.

    ``sockets``: what answers the handshakes of WebSockets. ``graphql``: the other door, ``None`` where there is none.
    ``admin_port``: operators have a port of their own, and what is theirs is nowhere else.
    """

    def __init__(
        self,
        *,
        door: GenerateDoor,
        routes: Sequence[Route],
        authenticator: Authenticator,
        ids: IdSource,
        log: Log,
        acts: Acts,
        clock: Clock,
        tasks: Tasks,
        fixed_headers: tuple[tuple[bytes, bytes], ...],
        sockets: App,
        graphql: GraphqlDoor | None = None,
        answered: Answered = unheard,
        admin_port: bool = False,
    ) -> None:
        self._answered = answered
        self._door = door
        self._sockets = sockets
        self._graphql = graphql
        self._hot = hot_paths()
        self._hang_ups = HangUpWatch(clock=clock, tasks=tasks)
        self._ids = ids
        self._log = log
        self._clock = clock
        control = partial(
            Control,
            authenticator=authenticator,
            ids=ids,
            log=log,
            acts=acts,
            clock=clock,
            fixed_headers=fixed_headers,
            answered=answered,
        )
        self._control = control([route for route in routes if not (admin_port and route.for_operators)])
        self._operations = control(routes) if admin_port else self._control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, or one WebSocket."""
        if scope["type"] == "http":
            hot = self._hot.get(scope["path"])
            if hot is not None and scope["method"] == METHOD:
                client = AsgiClient(scope, receive, send, watch=self._hang_ups)
                await self._door.serve(client, cast("asyncio.Task[None]", asyncio.current_task()), route=hot)
            elif self._graphql is not None and self._graphql.serves(scope["path"]):
                begun_at = self._clock.monotonic()
                heard, sending = overheard(scope, send, route=GRAPHQL, answered=self._answered)
                await self._graphql(heard, receive, sending)
                took_ms = round((self._clock.monotonic() - begun_at) * 1000, 2)
                self._log.debug("http", method=scope["method"], route=GRAPHQL, duration_ms=took_ms)
            else:
                control = self._operations if at_admin_port(scope) else self._control
                await control(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._sockets(scope, receive, send)

    def lane(self, *, is_open: bool = True) -> Lane:
        """The hot routes for a server that needs no objects of ASGI."""
        routes = {path.encode(): partial(self._door.serve, route=route) for path, route in self._hot.items()}
        return Lane(routes, is_open)

    def refused(self, error: LLMServiceError) -> str:
        """Note what was no request that could be handed over; its id, under which the log has the reason."""
        request_id = self._ids.new("req")
        self._log.info("not a request", request_id=request_id, reason=error.message)
        return request_id


def hot_paths() -> Mapping[str, HotRoute]:
    """The hot routes under every spelling that clients use."""
    routes = {path: HotRoute(path, parse) for path, parse in HOT_ROUTES.items()}
    spelled = routes | {path.removeprefix("/v1"): route for path, route in routes.items()}
    return spelled | {f"{path}/": route for path, route in spelled.items()}


class Control:
    """The routes that are not hot: found by Starlette, guarded by the authenticator unless they are open."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        authenticator: Authenticator,
        ids: IdSource,
        log: Log,
        acts: Acts,
        clock: Clock,
        fixed_headers: tuple[tuple[bytes, bytes], ...],
        answered: Answered = unheard,
    ) -> None:
        self._answered = answered
        self._authenticator = authenticator
        self._ids = ids
        self._log = log
        self._acts = acts
        self._clock = clock
        self._fixed_headers = [*fixed_headers]
        self._app = Starlette(
            routes=[
                StarletteRoute(path, partial(self._serve, route), methods=[route.method])
                for route in routes
                for path in dict.fromkeys((route.path, route.path.rstrip("/") or "/", f"{route.path.rstrip('/')}/"))
            ],
            exception_handlers={404: self._not_found, 405: self._not_found, Exception: self._defect},
        )
        self._app.router.redirect_slashes = False  # it would send clients to the address that their Host names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request that is not on a hot route."""
        request_id, begun_at = self._ids.new("req"), self._clock.monotonic()
        state = scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        own = [(b"x-request-id", request_id.encode()), *self._fixed_headers]
        status: object = None

        async def send_with_id(message: dict[str, object]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: Any = message.get("headers", ())
                kept = any(name == b"cache-control" for name, _ in headers)
                message["headers"] = [*headers, *own] if kept else [*headers, NO_STORE, *own]
                route = scope["state"].get("route", OTHER)
                self._answered(scope["method"], route, message["status"])  # type: ignore[arg-type]
            await send(message)

        await self._app(scope, receive, send_with_id)  # type: ignore[arg-type]
        took_ms = round((self._clock.monotonic() - begun_at) * 1000, 2)
        self._tell(state, method=scope["method"], status=status, duration_ms=took_ms)

    def _tell(self, state: Mapping[str, Any], **facts: object) -> None:
        """A line for the request: by its route, since an address may hold anything."""
        caller = state.get("caller")
        named = {"route": state.get("route"), "key_id": None if caller is None else caller.key_id}
        known = {name: value for name, value in named.items() if value is not None}
        self._log.debug("http", request_id=state["request_id"], **known, **facts)

    async def _serve(self, route: Route, request: Request) -> Response:
        request.state.route = route.path
        try:
            headers = headers_of(request.scope)
            if route.access != "open":
                shown = credentials_of(request.scope, headers)
                request.state.door = _door_of(route, shown)
                caller = self._authenticator.authenticate(shown)
                request.state.caller = caller if isinstance(caller, Caller) else await caller
                require_scope(request.state.caller, *route.scopes)
            response = await route.handler(request)
        except HungUp:
            return Response(status_code=400)  # nobody is left to read it
        except LLMServiceError as error:
            self._tell_act(route, request, error)
            return error_response(error, request_id=request.state.request_id)
        except (Exception, asyncio.CancelledError):
            self._tell_act(route, request, CUT_OFF)
            raise
        if self._tell_act(route, request):
            await self._acts.kept()
        return response

    def _tell_act(self, route: Route, request: Request, error: LLMServiceError | None = None) -> bool:
        """What an operator changed, or tried to; whether it was such an act. Who is unknown here is no operator.

        But for who shows a wrong key to be let in.
        """
        if route.method == "GET" or not route.for_operators:
            return False
        caller: Caller | None = getattr(request.state, "caller", None)
        act, state = f"{route.method} {route.path}", request.state
        door: ActDoor = getattr(state, "door", "dashboard")
        peer, request_id = peer_of(request.scope), state.request_id
        if caller is not None:
            self._acts.tell(
                act,
                door=door,
                caller=caller,
                request_id=request_id,
                peer=peer,
                on=getattr(state, "acted_on", None) or " ".join(map(str, request.path_params.values())),
                fields=(*getattr(state, "fields", ()), *request.query_params) if error is None else (),
                error=error,
                word=getattr(state, "act", None),
            )
        elif route.access == "open" and isinstance(error, InvalidApiKey):
            self._acts.stranger(act, door=door, request_id=request_id, peer=peer, error=error)
        return caller is not None

    async def _not_found(self, request: Request, missed: Exception) -> Response:
        unknown = isinstance(missed, HTTPException) and missed.status_code == 404
        error = missing(request, allowed=() if unknown else self._methods_at(request.scope))
        return error_response(error, request_id=request.state.request_id)

    def _methods_at(self, scope: Scope) -> tuple[str, ...]:
        """What the address can be asked by."""
        found = [route for route in self._app.routes if route.matches(scope)[0] is not Match.NONE]
        methods = {method for route in found if isinstance(route, StarletteRoute) for method in route.methods or ()}
        return tuple(sorted(methods))

    async def _defect(self, request: Request, defect: Exception) -> Response:
        self._log.error("defect", request_id=request.state.request_id, path=request.scope["path"], exc_info=defect)
        error = InternalError("The service failed on this request; its log has the details under the request id.")
        return error_response(error, request_id=request.state.request_id)


def _door_of(route: Route, shown: Credentials) -> ActDoor:
    """The dashboard's pages ask with a session in place of a key."""
    by_page = shown.session is not None and shown.key is None
    return "dashboard" if by_page or route.path.startswith("/dashboard") else "rest"


def missing(request: Request, *, allowed: tuple[str, ...]) -> LLMServiceError:
    """Why nothing is served here: a method that is not among the ``allowed``, a reserved address, or none at all."""
    path = request.scope["path"].rstrip("/") or "/"
    if path in hot_paths():
        return MethodNotAllowed(f"{path} is asked by POST.", allowed=("POST",))
    if path in RESERVED_PATHS or f"/v1{path}" in RESERVED_PATHS:
        return NotFound(f"{path} is reserved for a later version; use /v1/chat/completions.")
    if path in SOCKET_PATHS:
        return NotFound(f"{path} is a WebSocket: begin it with an upgrade (docs/websocket.md).")
    if not allowed:
        return NotFound("There is nothing at this address; /docs lists what there is.")
    return MethodNotAllowed(f"This address is asked by {' or '.join(allowed)}.", allowed=allowed)
