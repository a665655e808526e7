"""``health``: whether a running service is ready, for probes: nothing is imported that takes time."""

import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from llm_service.cli.output import print_json

READY: Final = "/health/ready"
LIVE: Final = "/health/live"
OK: Final = 200


class Told(NamedTuple):
    """What a service said, or why it said nothing: ``status`` is its answer's."""

    healthy: bool
    said: str
    status: int | None = None


def show_health(url: str | None, *, port: int, live: bool, timeout_s: float, as_json: bool) -> int:
    """Ask the service at the address, else the one of this machine behind the port; 0 when it is well, else 1."""
    path = LIVE if live else READY
    told = asked(url, path, timeout_s) if url else asked_here(port, path, timeout_s)
    if as_json:
        print_json({"ok": told.healthy, "status": told.status, "said": told.said})
    else:
        print(told.said, file=sys.stdout if told.healthy else sys.stderr)
    return 0 if told.healthy else 1


def asked_here(port: int, path: str, timeout_s: float) -> Told:
    """By http; where the port speaks something else, by https."""
    plain = asked(f"http://127.0.0.1:{port}", path, timeout_s)
    if plain.healthy or plain.status is not None:
        return plain
    by_tls = asked(f"https://127.0.0.1:{port}", path, timeout_s)
    return by_tls if by_tls.healthy or by_tls.status is not None else plain


def asked(url: str, path: str, timeout_s: float) -> Told:
    """One request. Certificates are not looked at: a probe learns one bit and tells nothing, and asks by number."""
    connection = connection_to(url, timeout_s)
    if connection is None:
        return Told(healthy=False, said=f"{url} is no address of a service; one is http://127.0.0.1:8080.")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(1024).decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return Told(healthy=False, said=f"No service answers at {url}: {str(error) or type(error).__name__}")
    finally:
        connection.close()
    return Told(healthy=answer.status == OK, said=text or str(answer.status), status=answer.status)


def connection_to(url: str, timeout_s: float) -> HTTPConnection | None:
    """Not open yet; None where this is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or parts.scheme not in ("http", "https"):
        return None
    if parts.scheme == "https":
        return HTTPSConnection(host, port, timeout=timeout_s, context=trusting())
    return HTTPConnection(host, port, timeout=timeout_s)


def trusting() -> ssl.SSLContext:
    """Takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
