"""Settings of the doors: where the service listens and who may come in."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from llm_service.domain import Bounds, Doc, HeaderSafe, OrSingle, Pattern, Secret
from llm_service.services import IssuerOptions

_HOST = Pattern(r"[A-Za-z0-9.:%_-]+", "a host name or an IP address")
_ORIGIN = Pattern(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", "an origin such as https://chat.example.com"
)

_HASH_KEY = Pattern(r"[!-~]{32,512}", "32 to 512 visible ASCII characters, such as `openssl rand -hex 32` makes")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """TLS of the service's own ports, which then speak https and wss alone."""

    cert: Annotated[Path, Doc("File with the certificate, and those between it and its authority, in PEM form.")]
    key: Annotated[Path, Doc("File with the certificate's private key in PEM form, without a passphrase.")]
    client_ca: Annotated[
        Path | None,
        Doc(
            "File with the authorities of clients in PEM form: who shows no certificate of one of them gets no "
            "connection (mTLS). Keys are asked for all the same."
        ),
    ] = None
    min_version: Annotated[Literal["1.2", "1.3"], Doc("The oldest version of TLS that is spoken.")] = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where the service listens, what it accepts and where it keeps its data."""

    host: Annotated[
        str,
        _HOST,
        Doc("Address to listen on. On another than loopback the service starts only with an `auth.admin_key`."),
    ] = "127.0.0.1"
    port: Annotated[int, Bounds(at_least=0, at_most=65535), Doc("Port to listen on; 0 takes a free one.")] = 8080
    admin_port: Annotated[
        int | None,
        Bounds(at_least=0, at_most=65535),
        Doc(
            "Port of its own for operators: what is below `/admin`, `/dashboard` and `/metrics`, and what GraphQL "
            "offers operators, is then answered there alone. It answers everything else as well. 0 takes a free one."
        ),
    ] = None
    admin_host: Annotated[
        str | None, _HOST, Doc("Address that `server.admin_port` listens on. Unset: that of `server.host`.")
    ] = None
    tls: Annotated[TlsOptions | None, Doc("Certificate and key with which the ports speak TLS.")] = None
    workers: Annotated[
        int,
        Bounds(at_least=1, at_most=256),
        Doc("Processes that serve behind the one port; with more than one, a further one supervises them."),
    ] = 1
    data_dir: Annotated[
        Path | None,
        Doc(
            "Folder for what the service keeps. Unset: `$STATE_DIRECTORY`, `$XDG_STATE_HOME/llm-service` or "
            "`~/.local/state/llm-service`."
        ),
    ] = None
    max_connections: Annotated[
        int,
        Bounds(at_least=16, at_most=1_000_000),
        Doc(
            "Connections that one process keeps, and never more than 256 below its limit of open files. At one more, "
            "those that ask for nothing, or have not finished asking, are closed: who was silent longest goes first."
        ),
    ] = 10_000
    max_body_bytes: Annotated[
        int,
        Bounds(at_least=1024, at_most=1024**3),
        Doc("Largest request body that is read; a larger one is answered with 413."),
    ] = 10 * 1024 * 1024
    keep_alive_s: Annotated[
        float,
        Bounds(at_least=0.1, at_most=3600),
        Doc("Pause after which a stream without content gets a comment line, and the longest wait for its head."),
    ] = 10.0
    shutdown_grace_s: Annotated[
        float, Bounds(at_least=0, at_most=86400), Doc("How long running requests may go on after SIGTERM.")
    ] = 30.0
    fast_lane: Annotated[
        bool,
        Doc(
            "Whether chat, text completions and embeddings are answered past the general interface of web servers "
            "(ASGI), which costs as much again. Answers are the same; `false` helps to find out where a fault lies."
        ),
    ] = True
    allowed_origins: Annotated[
        tuple[Annotated[str, _ORIGIN], ...],
        Doc("Web origins, besides the service's own, whose pages may call it."),
    ] = ()

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service, by any of its ports."""
        return _is_loopback(self.host) and (self.admin_port is None or _is_loopback(self.admin_address))

    @property
    def admin_address(self) -> str:
        """The address that the port of operators listens on, where there is one."""
        return self.admin_host or self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthOptions:
    """Who may use the service."""

    admin_key: Annotated[
        Secret | None, HeaderSafe(), Doc("Key that opens everything, the admin interface included.")
    ] = None
    hash_key: Annotated[
        tuple[Annotated[Secret, _HASH_KEY], ...],
        OrSingle(),
        Doc(
            "What api keys are hashed with. Unset: made at the first start in `<data_dir>/hash.key`; with a shared "
            "database it must be given. Of a list the first one hashes, and all of them verify."
        ),
    ] = ()
    wrong_keys_per_minute: Annotated[
        int,
        Bounds(at_least=1, at_most=1_000_000),
        Doc(
            "How many wrong keys one address (of IPv6: one network of 64 bits) may show each process in a minute. "
            "Beyond that nothing that could be guessed is looked at: an `auth.admin_key` of fewer than 32 characters "
            "waits as well; a longer one and api keys do not."
        ),
    ] = 30
    required: Annotated[
        Literal["auto", "always"],
        Doc("`auto`: requests from this machine need no key when the service listens on loopback; `always`: all do."),
    ] = "auto"
    jwt: Annotated[
        tuple[IssuerOptions, ...],
        Doc("Issuers whose tokens (JWT, OpenID Connect) are taken in place of keys: docs/keys.md. Empty: none."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """What one WebSocket, and one key, may have open."""

    max_generations_per_socket: Annotated[
        int,
        Bounds(at_least=1, at_most=10_000),
        Doc("Generations that may run over one socket of `/v1/ws`; one more is answered with an error."),
    ] = 100
    max_sockets_per_key: Annotated[
        int,
        Bounds(at_least=1, at_most=1_000_000),
        Doc("Sockets of `/v1/ws` that one key may have open in one process; one more is closed with 4429."),
    ] = 1000
    ping_interval_s: Annotated[
        float,
        Bounds(at_least=0.1, at_most=3600),
        Doc("Silence of a client after which a WebSocket pings it; without an answer for as long again it is closed."),
    ] = 20.0


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name that is resolved later may be anything
