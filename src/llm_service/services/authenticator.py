"""Who may come in: the admin key, an issued key, another's token, or a request from this machine that needs none."""

import hmac
import re
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from llm_service.domain import Caller, Credentials, InvalidApiKey, NotLocal, Secret
from llm_service.services.issued_keys import UNKNOWN, IssuedKeys
from llm_service.services.issuers.presented import WrongToken, is_token
from llm_service.services.issuers.tokens import Tokens
from llm_service.services.key_secret import ISSUED
from llm_service.services.sessions import Sessions
from llm_service.services.wrong_keys import WrongKeys, is_guessable

LOCAL_KEY: Final = "local"
LOCAL: Final = Caller(key_id="local", scopes=frozenset({"inference", "read", "admin"}))
ADMIN: Final = Caller(key_id="admin", scopes=frozenset({"inference", "read", "admin"}))
_HOST: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::[0-9]{0,5})?", re.ASCII)


class Authenticator:
    """Turns credentials into a caller.

    ``keyless``: whether requests from this machine need no key (the service listens on loopback and the operator
    did not ask for keys). Clients that insist on sending a key may send ``local`` then, which counts as none.
    ``keys``: the issued keys; ``None`` where none are. ``tokens``: those of other issuers; ``None`` where none are
    taken. ``sessions``: those of browsers; ``None`` where there are none.
    ``wrong_keys``: how often an address may be wrong; ``None``: as often as it likes.
    """

    def __init__(
        self,
        *,
        admin_key: Secret | None,
        keyless: bool,
        allowed_origins: tuple[str, ...],
        keys: IssuedKeys | None = None,
        tokens: Tokens | None = None,
        sessions: Sessions | None = None,
        wrong_keys: WrongKeys | None = None,
    ) -> None:
        self._admin_key = None if admin_key is None else _encoded(admin_key.reveal())
        self._admin_waits = admin_key is not None and is_guessable(admin_key.reveal())
        self._keyless = keyless
        self._allowed_origins = frozenset(allowed_origins)
        self._keys = keys
        self._tokens = tokens
        self._sessions = sessions
        self._wrong_keys = wrong_keys

    def authenticate(self, credentials: Credentials) -> Caller | Awaitable[Caller]:
        """The caller, or something to await for it where a key, or the keys of an issuer, have to be looked up first.

        Raises InvalidApiKey and NotLocal, which say what to do and never repeat the key; the other way out may also
        raise LedgerUnavailable, where the database does not answer, and IssuerUnavailable, where an issuer does not.
        """
        holder = None if credentials.key is None else self.holder(credentials.key, credentials.peer)
        if holder is not None:
            return holder
        if credentials.session is not None and self._sessions is not None and not self._is_local(credentials):
            return self._sessions.caller(credentials)
        if not self._keyless:
            raise InvalidApiKey("A key is required: send it as 'Authorization: Bearer <key>' or 'x-api-key'.")
        self._check_local(credentials)
        return LOCAL

    def holder(self, key: str, peer: str | None) -> Caller | Awaitable[Caller] | None:
        """Whose key it is, or something to await for it; ``None`` for one that counts as none. Raises like the above.

        ``peer``: the address that shows it. Who guesses at an admin key that can be guessed is not told of a hit.
        """
        if self._keyless and key == LOCAL_KEY:
            return None
        if self._admin_key is not None and hmac.compare_digest(_encoded(key), self._admin_key):
            if self._admin_waits and self._wrong_keys is not None:
                self._wrong_keys.check(peer)
            return ADMIN
        find = self._finder(key)
        if find is None:
            raise self._wrong(self._wrong_key(), peer)
        try:
            found = find(key)
        except InvalidApiKey as error:
            raise self._refusal(error, peer) from None
        return found if isinstance(found, Caller) else self._looked_up(found, peer)

    def _finder(self, key: str) -> Callable[[str], Caller | Awaitable[Caller]] | None:
        """Who knows a key of this form."""
        if self._keys is not None and key.startswith(ISSUED):
            return self._keys.find
        return self._tokens.find if self._tokens is not None and is_token(key) else None

    async def _looked_up(self, found: Awaitable[Caller], peer: str | None) -> Caller:
        try:
            return await found
        except InvalidApiKey as error:
            raise self._refusal(error, peer) from None

    def _refusal(self, error: InvalidApiKey, peer: str | None) -> InvalidApiKey:
        """A key or token that is over was nobody's guess."""
        is_wrong = error.message == UNKNOWN or isinstance(error, WrongToken)
        return self._wrong(error.message, peer) if is_wrong else error

    def _wrong(self, said: str, peer: str | None) -> InvalidApiKey:
        """What is answered to a wrong key. Raises InvalidApiKey that says so where it was one too many."""
        if self._wrong_keys is not None:
            self._wrong_keys.count(peer)
        return InvalidApiKey(said)

    def admits_origin(self, credentials: Credentials) -> bool:
        """Whether the page that asks, if one does, is ours or an allowed one: what a WebSocket has in place of CORS."""
        return credentials.origin is None or self._own_origin(credentials)

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Call back with the id of a key when its revocation becomes known here; for one key more than once at times.

        Within 0.5 s of it (at once by message), for all keys, also those that were never presented to this process.
        """
        if self._keys is not None:
            self._keys.on_revoked(callback)

    def off_revoked(self, callback: Callable[[str], None]) -> None:
        """Call back no more."""
        if self._keys is not None:
            self._keys.off_revoked(callback)

    def _wrong_key(self) -> str:
        if self._keyless:
            return (
                "The presented key is not known here. This service needs no key from its own machine: send none, or "
                f"'{LOCAL_KEY}' where a client insists on one."
            )
        return UNKNOWN

    def _is_local(self, credentials: Credentials) -> bool:
        """Whether no key is needed: a session of another service on this host is no reason to refuse then."""
        if not self._keyless:
            return False
        try:
            self._check_local(credentials)
        except NotLocal:
            return False
        return True

    def _check_local(self, credentials: Credentials) -> None:
        """Without a key: the peer and the Host are this machine, no proxy is between, no foreign page asks."""
        if not _is_loopback(credentials.peer):
            raise NotLocal("Without a key only this machine may ask: set auth.admin_key and send it as a Bearer token.")
        if not _is_loopback(_host_of(credentials.host)):
            raise NotLocal(
                "Without a key the Host must be 127.0.0.1, [::1] or localhost: call the service by that address, or "
                "set auth.admin_key."
            )
        if credentials.forwarded:
            raise NotLocal("Without a key no proxy may stand in between: set auth.admin_key and send it along.")
        if credentials.origin is not None and not self._own_origin(credentials):
            raise NotLocal("Without a key pages of other origins may not ask: name yours in server.allowed_origins.")
        if not credentials.json_body:
            raise NotLocal("Without a key a POST must have 'Content-Type: application/json'.")

    def _own_origin(self, credentials: Credentials) -> bool:
        own = (f"http://{credentials.host}", f"https://{credentials.host}")
        return credentials.origin in self._allowed_origins or credentials.origin in own


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _host_of(host: str) -> str:
    """The Host header without its port and brackets; empty where it is none."""
    read = _HOST.fullmatch(host)
    return "" if read is None else read[1] or read[2]


def _is_loopback(address: str | None) -> bool:
    if address is None:
        return False
    if address == "127.0.0.1" or address.lower() == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
