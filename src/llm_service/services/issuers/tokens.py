"""From a presented token to its caller: verified once, and known by its digest until it ends."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

from llm_service.domain import Caller, IssuerUnavailable, fact
from llm_service.services.issuers.base import KeySet
from llm_service.services.issuers.claims import caller_of
from llm_service.services.issuers.fresh_keys import FreshKeys
from llm_service.services.issuers.options import IssuerOptions
from llm_service.services.issuers.presented import Presented, WrongToken, read_token

KEPT_TOKENS: Final = 10_000


@fact
class Issuer:
    """One issuer with its keys."""

    options: IssuerOptions
    keys: FreshKeys


class _Known:
    """A token that was verified. ``by``: the keys that it was verified with."""

    __slots__ = ("by", "caller", "ends_at", "keys")

    def __init__(self, caller: Caller, *, ends_at: float, by: KeySet, keys: FreshKeys) -> None:
        self.caller = caller
        self.ends_at = ends_at
        self.by = by
        self.keys = keys


class Tokens:
    """Whose token it is, by the issuers of the settings.

    A token that was verified lately costs one digest. It is verified anew once its issuer's keys have changed, and
    refused once it has ended. ``kept`` tokens are remembered at most, those that came last.
    """

    def __init__(self, issuers: Sequence[Issuer], *, time: Callable[[], float], kept: int = KEPT_TOKENS) -> None:
        """``time``: Unix seconds."""
        self._issuers = {issuer.options.issuer: issuer for issuer in issuers}
        self._time = time
        self._kept = kept
        self._known: dict[bytes, _Known] = {}  # by digest; the one that came last stands last

    def start(self) -> None:
        """Keep the issuers' keys fresh from now on."""
        for issuer in self._issuers.values():
            issuer.keys.start()

    def find(self, presented: str) -> Caller | Awaitable[Caller]:
        """The caller at once, or something to await where the issuer has to be asked for its keys.

        Raises WrongToken, InvalidApiKey for a token that is over, and the other way out IssuerUnavailable as well.
        """
        digest = sha256(presented.encode("utf-8", "surrogatepass")).digest()
        known = self._known.pop(digest, None)
        if known is not None and self._time() < known.ends_at and known.keys.current is known.by:
            self._known[digest] = known
            return known.caller
        token = read_token(presented)
        issuer = self._issuer_of(token)
        keys = issuer.keys.current
        return self._after_renewal(token, issuer, digest) if keys is None else self._found(token, issuer, digest, keys)

    def _found(self, token: Presented, issuer: Issuer, digest: bytes, keys: KeySet) -> Caller | Awaitable[Caller]:
        verdict = keys.verdict(token.text, kid=token.kid, algorithm=token.algorithm)
        if verdict == "unknown_key":
            return self._after_renewal(token, issuer, digest)
        if verdict == "forged":
            raise WrongToken("The presented token was not signed with the key of its issuer that it names.")
        return self._keep(token, issuer, digest, keys)

    async def _after_renewal(self, token: Presented, issuer: Issuer, digest: bytes) -> Caller:
        """The same once the keys were fetched anew, if they may be."""
        await issuer.keys.renew()
        keys = issuer.keys.current
        if keys is None:
            said = "The token cannot be verified now: the keys of its issuer cannot be fetched. Try again."
            raise IssuerUnavailable(said, retry_after_s=5.0)
        if keys.verdict(token.text, kid=token.kid, algorithm=token.algorithm) != "signed":
            raise WrongToken("The presented token was not signed with any key of its issuer that is known here.")
        return self._keep(token, issuer, digest, keys)

    def _issuer_of(self, token: Presented) -> Issuer:
        name = token.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise WrongToken("The presented token is of an issuer ('iss') that is not known here.")
        if token.algorithm not in issuer.options.algorithms:
            raise WrongToken("The presented token is signed in a way ('alg') that is not taken from its issuer.")
        return issuer

    def _keep(self, token: Presented, issuer: Issuer, digest: bytes, keys: KeySet) -> Caller:
        caller, ends_at = caller_of(token.claims, issuer.options, now=self._time())
        self._known[digest] = _Known(caller, ends_at=ends_at, by=keys, keys=issuer.keys)
        if len(self._known) > self._kept:
            del self._known[next(iter(self._known))]
        return caller
