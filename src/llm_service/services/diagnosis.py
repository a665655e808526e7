"""What is wrong with a provider that does not answer as it should, and what to do about it, in words for operators."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from llm_service.domain import (
    LLMServiceError,
    UpstreamAuthFailed,
    UpstreamInvalidResponse,
    UpstreamNoBalance,
    UpstreamRateLimited,
    UpstreamTimeout,
    fact,
    fact_in_order,
)
from llm_service.providers import RefusedStatus
from llm_service.transport import Reason, TransportError


@fact
class Site:
    """Where a provider is, and how it is spoken to. ``usual_url``: where such a server is, as far as that is known."""

    base_url: str
    usual_url: str | None
    has_key: bool

    @property
    def host(self) -> str:
        """The name or address in the base URL."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def origin(self) -> str:
        """The name or address with its port."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@fact_in_order
class Diagnosis:
    """What is wrong, and what to do; neither holds a secret."""

    problem: str
    remedy: str


_CA: Final = "or name the authority's file in `ca_file` of this provider"
_TLS: Final[Mapping[Reason, tuple[str, str]]] = MappingProxyType(
    {
        "expired": (
            "The certificate of {host} has expired.",
            "Renew it there; look at the clock of this machine, too.",
        ),
        "not_yet_valid": ("The certificate of {host} is not valid yet.", "Look at the clock of this machine."),
        "self_signed": (
            "The certificate of {host} is self-signed.",
            f"Use one that a known authority has signed, {_CA}.",
        ),
        "unknown_authority": (
            "The certificate of {host} is signed by an authority that this machine does not know, or the server leaves "
            "out the certificates between.",
            f"Install the authority's certificate, have the server send the whole chain, {_CA}.",
        ),
        "other_name": (
            "The certificate is not for {host}.",
            "Write the name that it is for into `base_url`; a proxy may stand between.",
        ),
        "certificate": (
            "The certificate of {host} is not accepted.",
            f"Look at it with `openssl s_client -connect {{origin}} -servername {{host}}`, {_CA}.",
        ),
        "no_tls": ("What listens at {origin} speaks no TLS.", "Begin `base_url` with http://, or correct its port."),
        "handshake": (
            "The TLS handshake with {origin} was refused.",
            "The server may want other TLS versions, or a client certificate; a proxy may stand between.",
        ),
    }
)
_CONNECT: Final[Mapping[Reason, tuple[str, str]]] = MappingProxyType(
    {
        "unknown_name": (
            "The name {host} is not known.",
            "Look for a misspelling in `base_url`; else see whether this machine can resolve names (DNS).",
        ),
        "refused": (
            "Nothing listens at {origin}: the connection was refused.",
            "Start the server there, or correct host and port in `base_url`.",
        ),
        "unreachable": (
            "There is no way to {origin}.",
            "Look at this machine's network and routes; a firewall may stand between.",
        ),
    }
)


def diagnose(error: LLMServiceError, site: Site) -> Diagnosis:
    """What an error of a free endpoint means."""
    cause = error.__cause__
    if isinstance(cause, TransportError):
        problem, remedy = _below_http(cause)
    elif isinstance(cause, RefusedStatus):
        problem, remedy = _by_status(cause.status, error, site)
    else:
        problem, remedy = _by_answer(error)
    return Diagnosis(
        problem.format(host=site.host, origin=site.origin), remedy.format(host=site.host, origin=site.origin)
    )


def no_money(site: Site) -> Diagnosis:
    """The provider answers, and would refuse calls for want of money."""
    return Diagnosis(
        "The account has no money left, or the key has reached its spending limit.",
        f"Top the account up at {site.host}, or raise the limit of the key; nothing else needs to be changed.",
    )


def _below_http(failure: TransportError) -> tuple[str, str]:
    known = _TLS if failure.kind == "tls" else _CONNECT
    if failure.reason is not None and failure.reason in known:
        return known[failure.reason]
    if failure.kind == "connect_timeout":
        return (
            "{origin} does not answer: no connection within `timeouts.connect_s`.",
            "A firewall or a proxy may drop what is sent there; see whether this machine may reach it.",
        )
    if failure.kind == "disconnected":
        return (
            "{origin} takes the connection and closes it without an answer.",
            "Look at the log of the server, or of the proxy in front of it; https:// may be http://, or the reverse.",
        )
    if failure.kind in ("protocol", "too_large"):
        return ("What answers at {origin} is no HTTP server.", "Correct host and port in `base_url`.")
    return (f"The connection to {{origin}} fails: {_braced(failure)}.", "Look at the network between.")


def _by_status(status: int, error: LLMServiceError, site: Site) -> tuple[str, str]:
    if isinstance(error, UpstreamNoBalance) or status == 402:
        known = no_money(site)
        return known.problem, known.remedy
    if status == 401:
        if not site.has_key:
            return ("{host} wants a key, and none is configured (status 401).", "Set `api_key` of this provider.")
        return (
            "{host} does not accept the key (status 401).",
            "Set `api_key` of this provider to a key of that account; it may be revoked, cut short, or for elsewhere.",
        )
    if status == 403 or isinstance(error, UpstreamAuthFailed):
        return (
            f"{{host}} knows the key and refuses it this (status {status}).",
            "See what the key may do there, whether the account is open, and whether this region is served.",
        )
    if status == 404:
        usual = f" such a server is usually at {_braced(site.usual_url)};" if site.usual_url else ""
        return (
            "{host} has nothing at this address (status 404): there is no /models below `base_url`.",
            f"Correct the path of `base_url`;{usual} many end in /v1.",
        )
    if 300 <= status < 400:
        return (
            f"{{host}} answers with a redirect (status {status}), which is not followed.",
            "Write the address that it leads to into `base_url`: often https:// in place of http://, or no last slash.",
        )
    if isinstance(error, UpstreamRateLimited):
        return ("{host} limits the rate of requests (status 429).", "Wait; if it stays so, see the account's limits.")
    if status >= 500:
        return (f"{{host}} has troubles of its own (status {status}).", "Wait, and look at its status page.")
    return (f"{{host}} refuses the question (status {status}): {_braced(error.message)}", "See its documentation.")


def _by_answer(error: LLMServiceError) -> tuple[str, str]:
    if isinstance(error, UpstreamTimeout):
        return ("{host} takes the question and does not answer in time.", "Wait, and look at its status page.")
    if isinstance(error, UpstreamInvalidResponse):
        return (
            "What answers at {origin} does not speak this API: its answer is no list of models, or none of an account.",
            "Correct `base_url` and `kind` of this provider; a login page or a proxy may answer in its place.",
        )
    return (_braced(error.message), "See docs/errors.md for the code.")


def _braced(text: object) -> str:
    """Text that is safe to be formatted."""
    return str(text).replace("{", "{{").replace("}", "}}")
