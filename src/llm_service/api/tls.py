"""TLS of the service's own ports: from the files that an operator names to what connections are made with."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llm_service.api.options import TlsOptions

HANDSHAKE_S: Final = 10.0
"""A client that has not agreed on a connection by then is given up."""
GOODBYE_S: Final = 2.0
"""How long a client may take to end TLS before its connection is ended without."""
MOST_FILE_BYTES: Final = 1024 * 1024
VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")
"""RFC 6797: for a year browsers ask this host by https alone. Subdomains are not ours to speak for."""


class TlsError(Exception):
    """The files do not make a server; ``setting``: which of ``server.tls`` it is, the message the end of a sentence."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"server.tls.{setting} {message}")
        self.setting = setting
        self.message = message


def tls_problems(options: TlsOptions) -> Iterator[TlsError]:
    """What is wrong with the files, each by itself, and then together."""
    problems = [problem for problem in map(_problem_of, *zip(*_files(options), strict=True)) if problem is not None]
    yield from problems
    if not problems:
        try:
            tls_context(options)
        except TlsError as error:
            yield error


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """What connections of clients are made with; the files are read now, and not again. Raises TlsError.

    HTTP/1.1 alone is offered (ALPN), nothing is compressed, and no client may negotiate anew (TLS 1.2).
    """
    for setting, path, holds in _files(options):
        if (problem := _problem_of(setting, path, holds)) is not None:
            raise problem
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[options.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _load_own(context, options)
    if options.client_ca is not None:
        try:
            context.load_verify_locations(options.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise TlsError("client_ca", f"cannot be used: {_reason(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load_own(context: ssl.SSLContext, options: TlsOptions) -> None:
    try:
        context.load_cert_chain(options.cert, options.key, password=_no_password)
    except _EncryptedError as error:
        raise TlsError("key", "is encrypted: give it without a passphrase, readable for the service alone") from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError("key", "does not belong to the certificate of server.tls.cert (its first one)") from error
        raise TlsError("cert", f"and server.tls.key cannot be used: {_reason(error)}") from error
    except OSError as error:
        raise TlsError("cert", f"cannot be read: {_reason(error)}") from error


class _EncryptedError(Exception):
    """A passphrase is asked for, and nobody is there who could type it."""


def _no_password() -> str:
    raise _EncryptedError


def _files(options: TlsOptions) -> list[tuple[str, Path, str]]:
    named = [("cert", options.cert, "CERTIFICATE"), ("key", options.key, "PRIVATE KEY")]
    return named if options.client_ca is None else [*named, ("client_ca", options.client_ca, "CERTIFICATE")]


def _problem_of(setting: str, path: Path, holds: str) -> TlsError | None:
    """Why a file cannot be what it is named as; nothing of it is told."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        return TlsError(setting, f"cannot be read: {_reason(error)}")
    if len(text) > MOST_FILE_BYTES:
        return TlsError(setting, f"is larger than {MOST_FILE_BYTES} bytes")
    if f"{holds}-----".encode() not in text:
        return TlsError(setting, f"holds no {holds.lower()} in PEM form (BEGIN {holds})")
    return None


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
