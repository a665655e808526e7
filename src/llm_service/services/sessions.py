"""Sessions of browsers: signed, kept nowhere, and no longer good than the key that they were opened with."""

import hmac
import re
from collections.abc import Awaitable
from dataclasses import field
from datetime import UTC, datetime
from typing import Final

from llm_service.domain import Caller, Credentials, InvalidApiKey, Secret, fact
from llm_service.runtime import Clock, IdSource
from llm_service.services.hash_key import HashKeys
from llm_service.services.issued_keys import IssuedKeys
from llm_service.services.key_secret import PREFIX_CHARS, prefix_of

SESSION_S: Final = 12 * 3600
"""How long one lasts at most, in seconds."""
MOST_CHARS: Final = 512
_PURPOSE: Final = "llm-service: sessions of browsers"
_ADMIN: Final = "admin"
_OVER: Final = "The session is over: sign in again at /dashboard."
_FOREIGN: Final = "A session works for the pages of this service alone, not for those of other origins."
_UNGUARDED: Final = "A session changes nothing without its token in the header X-LLM-CSRF."
_OWN_SITE: Final = frozenset((None, "same-origin", "none"))
_FORM: Final = re.compile(
    rf"1\.(?P<holder>{_ADMIN}|[a-z2-7]{{{PREFIX_CHARS}}})\.(?P<of>[0-9a-z_]{{16,40}})\.(?P<ends_at>[0-9]{{10,11}})"
    r"\.(?P<id>ses_[0-9a-f]{26})\.(?P<mac>[0-9a-f]{64})",
    re.ASCII,
)


@fact
class Session:
    """One that was opened: what the browser keeps (``token``), and what its pages send along to change something."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    ends_at: datetime


@fact
class _Claims:
    """What a token of ours says. ``of``: the key's id, or of the admin key a name that tells nothing about it."""

    holder: str
    of: str
    ends_at: int


class Sessions:
    """Opens sessions, and says whose one is. A token holds no secret but itself.

    It names the key, and which of its secrets was shown: it ends when that secret does (revoked, expired, rotated
    out), as soon as the process knows, and the admin key's with any change of that key. Whoever has the hash key can
    verify it, so it holds on every worker and machine. HMAC-SHA-256 (RFC 2104) with a key derived from the hash key.
    """

    def __init__(
        self, *, hash_keys: HashKeys, admin_key: Secret | None, keys: IssuedKeys | None, clock: Clock, ids: IdSource
    ) -> None:
        self._signing = hash_keys.derived(_PURPOSE)
        self._admin = None if admin_key is None else self._named(admin_key)
        self._keys = keys
        self._clock = clock
        self._ids = ids

    def open(self, presented: str, caller: Caller) -> Session:
        """A session of a caller who has just shown this key, and was let in with it."""
        prefix = prefix_of(presented) if caller.key is not None else _ADMIN
        of = caller.key_id if caller.key is not None else self._admin
        if prefix is None or of is None:
            raise ValueError("only the admin key and issued keys open sessions")
        ends_at = int(self._clock.time()) + SESSION_S
        claims = f"1.{prefix}.{of}.{ends_at}.{self._ids.new('ses')}"
        token = f"{claims}.{_mac(self._signing[0], claims)}"
        return Session(token=token, csrf=self._csrf(token), ends_at=datetime.fromtimestamp(ends_at, UTC))

    def caller(self, credentials: Credentials) -> Caller | Awaitable[Caller]:
        """Whose session it is, or something to await for it. Raises InvalidApiKey, and as issued keys do.

        Only for pages of this very origin, and for what changes something only with the token against forgery.
        """
        token = credentials.session or ""
        claims = self._read(token)
        self.check_page(credentials)
        if not credentials.safe and not _same(self._csrf(token), credentials.csrf or ""):
            raise InvalidApiKey(_UNGUARDED)
        if claims.holder == _ADMIN:
            if self._admin is None or not hmac.compare_digest(claims.of, self._admin):
                raise InvalidApiKey(_OVER)
            return Caller(key_id=_ADMIN, scopes=frozenset({"inference", "read", "admin"}))
        if self._keys is None:
            raise InvalidApiKey(_OVER)
        return self._keys.holder(claims.holder, key_id=claims.of)

    def of(self, token: str) -> Session:
        """The session of a token. Raises InvalidApiKey where it is none, or over."""
        claims = self._read(token)
        return Session(token=token, csrf=self._csrf(token), ends_at=datetime.fromtimestamp(claims.ends_at, UTC))

    def check_page(self, credentials: Credentials) -> None:
        """Raises InvalidApiKey where a page of another origin asks, another port of this host included.

        By what browsers say of it: Origin, and Fetch Metadata.
        """
        own = (None, f"http://{credentials.host}", f"https://{credentials.host}")
        if credentials.site not in _OWN_SITE or credentials.origin not in own:
            raise InvalidApiKey(_FOREIGN)

    def _csrf(self, token: str) -> str:
        """What only pages that may read our answers know of a session."""
        return _mac(self._signing[0], f"csrf {token}")[:32]

    def _read(self, token: str) -> _Claims:
        read = _FORM.fullmatch(token) if len(token) <= MOST_CHARS else None
        if read is None:
            raise InvalidApiKey(_OVER)
        claims, mac = token[: read.start("mac") - 1], read["mac"]
        if not any(hmac.compare_digest(_mac(key, claims), mac) for key in self._signing):
            raise InvalidApiKey(_OVER)
        if int(read["ends_at"]) <= self._clock.time():
            raise InvalidApiKey(_OVER)
        return _Claims(holder=read["holder"], of=read["of"], ends_at=int(read["ends_at"]))

    def _named(self, admin_key: Secret) -> str:
        return _mac(self._signing[0], f"admin {admin_key.reveal()}")[:32]


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()
