"""``/dashboard/session``: a browser is let in with a key, asks what it may do, and leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.http_request import SESSION_COOKIES, Headers, Scope, credentials_of, headers_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import json_body
from llm_service.domain import (
    Caller,
    Credentials,
    InvalidApiKey,
    InvalidValue,
    MissingParameter,
    NotLocal,
    fact,
    require_scope,
)
from llm_service.domain import Scope as KeyScope
from llm_service.observability import Log
from llm_service.services import SESSION_S, Authenticator, Session, Sessions, is_of_issuer, moment_text

MOST_KEY_CHARS: Final = 4096
LETS_IN: Final[tuple[KeyScope, ...]] = ("read", "admin")
"""One of these scopes lets in; pages show what the key may see."""

Offers = Mapping[str, Sequence[KeyScope]]
"""The scopes of which one is needed, by method and path; none: open."""


@fact
class About:
    """What the pages say of the service."""

    version: str
    sandbox: bool


class SessionRoutes:
    """Opens, tells of, and ends the session of a browser. Nothing of it is kept here."""

    def __init__(self, sessions: Sessions, *, authenticator: Authenticator, about: About, log: Log) -> None:
        self._sessions = sessions
        self._authenticator = authenticator
        self._about = about
        self._log = log

    async def open(self, request: Request, offers: Offers) -> Response:
        """A session for the key in the body.

        Raises InvalidApiKey, ScopeMissing, and InvalidApiKey for
        pages of other origins.
        """
        shown = credentials_of(request.scope, headers_of(request.scope))
        self._sessions.check_page(shown)
        key = _key_in(await json_body(request))
        try:
            caller = await self._caller(replace(shown, key=key, session=None))
        except InvalidApiKey as error:
            if error.retry_after_s is None:  # of an address that must wait the log has its line
                self._log.warning("a wrong key was shown to the dashboard", peer=shown.peer)
            raise
        request.state.caller = caller  # for the log of what operators do
        if is_of_issuer(caller.key_id):
            raise InvalidApiKey("A token opens no session: sign in with a key, or send the token with each request.")
        require_scope(caller, *LETS_IN)
        if caller.key_id == "local":
            return _told(self._known(caller, offers))
        session = self._sessions.open(key, caller)
        return _told(self._known(caller, offers, session), cookies=(_cookie(session.token, request.scope),))

    async def tell(self, request: Request, offers: Offers) -> Response:
        """Who is signed in, if somebody is, and what they may ask: 200 in any case."""
        shown = credentials_of(request.scope, headers_of(request.scope))
        try:
            caller = await self._caller(shown)
        except (InvalidApiKey, NotLocal) as refusal:
            return _told({"signed_in": False, "reason": refusal.message, **self._said})
        token = None if caller.key_id == "local" or shown.key is not None else shown.session
        return _told(self._known(caller, offers, None if token is None else self._sessions.of(token)))

    async def close(self, _: Request) -> Response:
        """The browser forgets its session."""
        cookies = tuple(_cookie("", {"scheme": "https", "headers": []}, name=name) for name in SESSION_COOKIES)
        return _told({"signed_in": False, **self._said}, cookies=cookies)

    @property
    def _said(self) -> dict[str, Any]:
        return {"version": self._about.version, "sandbox": self._about.sandbox}

    async def _caller(self, credentials: Credentials) -> Caller:
        caller = self._authenticator.authenticate(credentials)
        return caller if isinstance(caller, Caller) else await caller

    def _known(self, caller: Caller, offers: Offers, session: Session | None = None) -> dict[str, Any]:
        return {
            "signed_in": True,
            "key_id": caller.key_id,
            "name": None if caller.key is None else caller.key.name,
            "scopes": sorted(caller.scopes),
            "ends_at": None if session is None else moment_text(session.ends_at),
            "csrf": None if session is None else session.csrf,
            "may": [offer for offer, scopes in offers.items() if not scopes or not caller.scopes.isdisjoint(scopes)],
            **self._said,
        }


def is_secure(scope: Scope, headers: Headers) -> bool:
    """Whether the browser asks over TLS, as far as it is told; a lie hurts nobody but who tells it."""
    proto = headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip().lower()
    forwarded = headers.get(b"forwarded", b"").split(b",")[0].lower().replace(b'"', b"")
    return scope.get("scheme") == "https" or proto == b"https" or b"proto=https" in forwarded


def _cookie(token: str, scope: Scope, *, name: str | None = None) -> str:
    """What the browser is told to keep; nothing makes it forget what it has."""
    secure = is_secure(scope, dict(scope["headers"]))
    name = name or SESSION_COOKIES[0 if secure else 1]
    kept = f"{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_S if token else 0}"
    return f"{kept}; Secure" if name.startswith("__Host-") else kept


def _key_in(body: Mapping[str, Any]) -> str:
    if unknown := [name for name in body if name != "key"]:
        raise InvalidValue(f"'{unknown[0][:64]}' is unknown here; there is: key.", param=unknown[0][:64])
    key = body.get("key")
    if key is None:
        raise MissingParameter("'key' is required: the admin key, or one with the scope read or admin.", param="key")
    if not isinstance(key, str) or not 1 <= len(key.strip()) <= MOST_KEY_CHARS:
        raise InvalidValue("'key' must be a key.", param="key")
    return key.strip()


def _told(body: Mapping[str, Any], *, cookies: Sequence[str] = ()) -> Response:
    response = json_response(body, headers={"cache-control": "no-store"})
    for cookie in cookies:
        response.headers.append("set-cookie", cookie)
    return response
