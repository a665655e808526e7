"""Where a Valkey or Redis server is: its URL taken apart, and what is wrong with it in words that hold no secret."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from llm_service.domain import Secret, fact, fact_in_order

Topology = Literal["single", "sentinel", "cluster"]

_FORMS: Final = (
    "must be redis://host:port, rediss://host:port (TLS), unix:///path/of.sock, redis+sentinel://host:port,.../service "
    "or redis+cluster://host:port,..."
)
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_SCHEMES: Final[Mapping[str, tuple[Topology, bool]]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "valkey": ("single", False),
    "valkeys": ("single", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_TLS_FILES: Final = frozenset(("ca_file", "cert_file", "key_file"))
_SENTINEL_LOGIN: Final = frozenset(("sentinel_username", "sentinel_password"))


@fact_in_order
class Endpoint:
    """One server: a host and a port, or the path of a Unix socket."""

    host: str
    port: int
    path: str = ""


@fact
class Login:
    """Who we are to a server; without a password, nobody in particular."""

    username: str | None = None
    password: Secret | None = None


@fact
class TlsFiles:
    """TLS, always verified: by this authority or by the system's, and with a certificate of our own where asked for."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@fact
class StoreAddress:
    """What a store's URL says. ``endpoints``: the server, the sentinels, or nodes of the cluster to begin with."""

    topology: Topology
    endpoints: tuple[Endpoint, ...]
    login: Login
    sentinel_login: Login = Login()
    service: str = ""
    database: int = 0
    tls: TlsFiles | None = None


class AddressError(ValueError):
    """The URL of a store is not usable; the message ends a sentence that begins with the setting's name."""


@fact_in_order
class StoreUrl:
    """The URL of a Valkey or Redis server, a sentinel set or a cluster."""

    def problem(self, value: str) -> str | None:
        try:
            parse_store_url(value)
        except AddressError as problem:
            return str(problem)
        return None

    def json_schema(self) -> Mapping[str, object]:
        return {"pattern": "^(rediss?(\\+sentinel|\\+cluster)?|valkeys?|unix)://"}


def parse_store_url(url: str) -> StoreAddress:
    """Take a store's URL apart. Raises AddressError, whose message never repeats a part of the URL's value."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise AddressError("must be printable ASCII characters without blanks; write others as %XX")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in (*_SCHEMES, "unix"):
        raise AddressError(_FORMS)
    # urlsplit forbids what we allow: several hosts. Only user, path and query are taken from it.
    try:
        parts = urlsplit(f"redis://{rest}")
    except ValueError:
        raise AddressError(_FORMS) from None
    if parts.fragment:
        raise AddressError("must not have a '#': write it as %23 in a password")
    options = _options(parts.query)
    login, hosts = _login_and_hosts(parts.netloc)
    if scheme == "unix":
        return _unix(login, hosts=hosts, path=parts.path, options=options)
    topology, encrypted = _SCHEMES[scheme]
    _check_options(options, topology=topology, encrypted=encrypted)
    port = _SENTINEL_PORT if topology == "sentinel" else _PORT
    endpoints = tuple(_endpoint(host, port) for host in hosts.split(","))
    if topology == "single" and len(endpoints) > 1:
        raise AddressError("must name one server; several are for redis+sentinel:// and redis+cluster://")
    service, database = _path(parts.path, topology)
    return StoreAddress(
        topology=topology,
        endpoints=endpoints,
        login=login,
        sentinel_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        service=service,
        database=database,
        tls=TlsFiles(**{name: options.get(name) for name in _TLS_FILES}) if encrypted else None,
    )


def _unix(login: Login, *, hosts: str, path: str, options: Mapping[str, str]) -> StoreAddress:
    path = unquote(f"/{hosts}{path}" if hosts else path)
    if len(path) < 2 or hosts:
        raise AddressError("must have the absolute path of a socket: unix:///run/valkey.sock")
    if unknown := set(options) - {"db"}:
        raise _unknown(unknown)
    endpoint = Endpoint(host="", port=0, path=path)
    return StoreAddress(
        topology="single", endpoints=(endpoint,), login=login, database=_database(options.get("db", "0"))
    )


def _options(query: str) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise AddressError("must have options of the form ?name=value&name=value") from None
    return dict(pairs)


def _check_options(options: Mapping[str, str], *, topology: Topology, encrypted: bool) -> None:
    known = (_TLS_FILES if encrypted else frozenset[str]()) | (
        _SENTINEL_LOGIN if topology == "sentinel" else frozenset[str]()
    )
    if unknown := set(options) - known:
        if unknown <= _TLS_FILES:
            raise AddressError("must begin with rediss for TLS options")
        raise _unknown(unknown)
    for name in sorted(_TLS_FILES & set(options)):
        if not Path(options[name]).is_absolute():
            raise AddressError(f"must have an absolute path as its option {name}")
    if ("cert_file" in options) != ("key_file" in options):
        raise AddressError("must have both cert_file and key_file, or neither")


def _unknown(options: set[str]) -> AddressError:
    # An option's name is repeated only when it looks like one: a mistyped password may stand behind a '?'.
    names = sorted(name for name in options if re.fullmatch("[a-z_]{1,20}", name))
    known = ", ".join(sorted((*_TLS_FILES, *_SENTINEL_LOGIN)))
    return AddressError(f"has an unknown option{f' {names[0]}' if names else ''}; there are {known}")


def _login_and_hosts(netloc: str) -> tuple[Login, str]:
    user, separator, hosts = netloc.rpartition("@")
    if not separator:
        return Login(), hosts
    if "@" in user:
        raise AddressError("must have one '@' at most: write it as %40 in a user name or password")
    username, _, password = user.partition(":")
    return _login(unquote(username), unquote(password)), hosts


def _login(username: str, password: str) -> Login:
    if username and not password:
        raise AddressError("must have a password beside its user name: user:password@, or :password@ alone")
    return Login(username=username or None, password=Secret(password) if password else None)


def _endpoint(text: str, default_port: int) -> Endpoint:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressError("must have a port between 1 and 65535 for each host") from None
    if not host or port == 0:
        raise AddressError(_FORMS if not host else "must have a port between 1 and 65535 for each host")
    return Endpoint(host=host, port=port or default_port)


def _path(path: str, topology: Topology) -> tuple[str, int]:
    """The name of the sentinels' service, and the number of a database."""
    first, _, second = path.removeprefix("/").partition("/")
    if topology == "sentinel":
        if not first:
            raise AddressError("must end in the name of the service: redis+sentinel://host:port/service")
        return unquote(first), _database(second or "0")
    if second:
        raise AddressError("must have nothing after the number of its database")
    if topology == "cluster" and first not in {"", "0"}:
        raise AddressError("must not name a database: a cluster has only one")
    return "", _database(first or "0")


def _database(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text):
        raise AddressError("must have a number as its database")
    return int(text)
