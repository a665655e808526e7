"""Settings of the notifiers: where notices of alerts go."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from llm_service.domain import (
    HEADER_VALUE,
    Bounds,
    Called,
    Confidential,
    Doc,
    HeaderName,
    HttpUrl,
    NotEmpty,
    Pattern,
    Secret,
)

NotifierKind = Literal["webhook", "slack", "email"]
Encryption = Literal["starttls", "tls", "none"]

_URL: Final = HttpUrl(credentials="they belong into headers")
_HOST: Final = Pattern(r"[A-Za-z0-9.:_-]{1,255}", "a host name or an IP address")
_PORTS: Final[Mapping[Encryption, int]] = {"starttls": 587, "tls": 465, "none": 25}  # RFC 8314, RFC 5321
# As HTML has "a valid e-mail address": ASCII, and nothing in it that could end a header or a command.
_MAILBOX: Final = Pattern(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?",
    "an e-mail address such as ops@example.com",
)
_LOGIN: Final = Pattern(r"[!-~](?:[ -~]*[!-~])?", "printable ASCII characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierOptions:
    """One place that notices of alerts go to."""

    kind: Annotated[NotifierKind, Doc("How notices are sent. Each kind has settings of its own.")]
    url: Annotated[
        Secret | None,
        _URL,
        Doc("`webhook` only: where the notice is posted to, in the form of Alertmanager's webhook."),
    ] = None
    headers: Annotated[
        Mapping[Annotated[str, HeaderName()], Annotated[str, HEADER_VALUE]],
        Confidential(),
        Doc("`webhook` only: further headers, such as `Authorization`; the values are treated as secrets."),
    ] = field(default_factory=dict, repr=False)
    secret: Annotated[
        Secret | None, Doc("`webhook` only: signs each notice, in the header `X-LLM-Signature`. Unset: not signed.")
    ] = None
    webhook_url: Annotated[
        Secret | None, _URL, Doc("`slack` only: the address that Slack made for an incoming webhook.")
    ] = None
    host: Annotated[str | None, _HOST, Doc("`email` only: the mail server.")] = None
    port: Annotated[
        int | None,
        Bounds(at_least=1, at_most=65535),
        Doc("`email` only: its port. Unset: 587, 465 or 25, by `encryption`."),
    ] = None
    encryption: Annotated[
        Encryption,
        Doc(
            "`email` only: `starttls` encrypts before anything is said, `tls` from the first byte; the server must "
            "prove who it is. `none`: in clear, and to another machine without a password."
        ),
    ] = "starttls"
    user: Annotated[str | None, _LOGIN, Doc("`email` only: name to log in with. Unset: no login.")] = None
    password: Annotated[Secret | None, _LOGIN, Doc("`email` only: password for the login.")] = None
    sender: Annotated[str | None, Called("from"), _MAILBOX, Doc("`email` only: whom the mail is from.")] = None
    to: Annotated[tuple[Annotated[str, _MAILBOX], ...], NotEmpty(), Doc("`email` only: whom it is sent to.")] = ()
    ca_file: Annotated[
        Path | None, Doc("PEM file with the certificate authorities to trust. Unset: those of the system.")
    ] = None
    timeout_s: Annotated[
        float, Bounds(above=0, at_most=300), Doc("Longest duration of one attempt, connecting included.")
    ] = 15.0
    retry_for_s: Annotated[
        float,
        Bounds(at_least=0, at_most=7 * 86400),
        Doc(
            "How long a notice that cannot be delivered is tried again, after ever longer pauses; 0: it is tried once."
        ),
    ] = 3600.0

    @property
    def mail_port(self) -> int:
        """The port of the mail server."""
        return self.port or _PORTS[self.encryption]


class Fields(NamedTuple):
    """The settings of a kind that others lack, by their names in the configuration."""

    needed: frozenset[str]
    possible: frozenset[str] = frozenset()


FIELDS: Final[Mapping[NotifierKind, Fields]] = {
    "webhook": Fields(frozenset(("url",)), frozenset(("headers", "secret"))),
    "slack": Fields(frozenset(("webhook_url",))),
    "email": Fields(frozenset(("host", "from", "to")), frozenset(("port", "encryption", "user", "password"))),
}
_OF_ONE_KIND: Final = frozenset[str]().union(*(fields.needed | fields.possible for fields in FIELDS.values()))


class Problem(NamedTuple):
    """What is wrong with the settings of a notifier, as the end of a sentence that begins with the setting's name."""

    setting: str | None
    """Which one; None: the notifier as a whole."""
    message: str


def problems(options: NotifierOptions, given: Collection[str]) -> Iterator[Problem]:
    """What is wrong between the settings of one notifier; ``given``: the names of those that were set, even wrongly."""
    needed, possible = FIELDS[options.kind]
    for name in sorted(needed.difference(given)):
        yield Problem(None, f"needs {name}: its kind is {options.kind}")
    for name in sorted(_OF_ONE_KIND.intersection(given) - needed - possible):
        yield Problem(name, f"is no setting of the kind {options.kind}")
    if options.kind == "email":
        yield from _login_problems(options, given)


def _login_problems(options: NotifierOptions, given: Collection[str]) -> Iterator[Problem]:
    for one, other in (("user", "password"), ("password", "user")):
        if one in given and other not in given:
            yield Problem(one, f"needs {other} beside it")
    if options.encryption == "none" and "password" in given and options.host and not _is_this_machine(options.host):
        yield Problem("password", "would travel in clear: encryption must be starttls or tls")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


__all__ = ["FIELDS", "Encryption", "NotifierKind", "NotifierOptions", "Problem", "problems"]
