"""The service's application below another one, on any ASGI server."""

from typing import Final

from llm_service.api.http_request import App, Message, Receive, Scope, Send
from llm_service.api.server import EVERY_RESPONSE
from llm_service.api.websocket.asgi_wire import AsgiWire, GoneError
from llm_service.api.websocket.close_codes import FAILED
from llm_service.api.websocket.wire import EXTENSION

HOSTS_OWN: Final = frozenset(("app", "endpoint", "path_params", "route", "router"))
"""What routers leave in a scope for what they call."""


class Hosted:
    """Calls an application as our own server would.

    Its addresses begin where it was mounted (``root_path``); its answers say what those of our server say; its
    WebSockets have a wire.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""
        inner = inside(scope)
        if scope["type"] == "websocket" and EXTENSION not in scope.get("extensions", {}):
            await self._serve_socket(inner, receive, send)
        else:
            await self._app(inner, receive, _saying(send))

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = AsgiWire(scope, receive, send)
        own = {"method": "GET", "extensions": {**scope.get("extensions", {}), EXTENSION: wire}}
        own["subprotocols"] = scope.get("subprotocols", ())  # which a server may leave out
        try:
            await self._app({**scope, **own}, wire.receive, wire.send)
        except GoneError:
            pass  # nobody is left to be told
        except Exception:
            wire.close(FAILED, "")
            raise
        finally:
            await wire.aclose()


def inside(scope: Scope) -> Scope:
    """The scope as the application would have it if nothing were around it."""
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :] or "/"
    kept = {name: value for name, value in scope.items() if name not in HOSTS_OWN}
    return {**kept, "path": path, "root_path": ""}


def _saying(send: Send) -> Send:
    async def saying(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message.get("headers", ())}
            own = [header for header in EVERY_RESPONSE if header[0] not in given]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return saying
