"""Certificates for a provider: a good one, and those that a client must not accept."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
LONG_AGO: Final = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
SIGNING: Final = """\
[ca]
default_ca = here
[here]
database = signed.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """A server's contexts; ``authority`` is the file by which clients know the good one."""

    authority: Path
    good: ssl.SSLContext
    bad: dict[str, ssl.SSLContext]
    """``expired``, ``of another name``, ``of an unknown authority``."""


def make_certificates(folder: Path) -> Certificates:
    """All of them, by openssl."""
    folder.mkdir(parents=True, exist_ok=True)
    for authority in ("known", "unknown"):
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        _openssl(folder, "req", "-x509", *NEW_KEY, "-days", "2", *_named("test authority", authority), *usage)
    return Certificates(
        folder / "known.pem",
        good=_server(folder, "good"),
        bad={
            "expired": _expired(folder),
            "of another name": _server(folder, "misnamed", name="elsewhere.example"),
            "of an unknown authority": _server(folder, "strange", by="unknown"),
        },
    )


def _server(folder: Path, file: str, *, name: str = "localhost", by: str = "known") -> ssl.SSLContext:
    signed = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-addext", f"subjectAltName=DNS:{name}")
    _openssl(folder, "req", "-x509", *NEW_KEY, "-days", "2", *_named(name, file), *signed)
    return _context(folder, file)


def _expired(folder: Path) -> ssl.SSLContext:
    """Only ``openssl ca`` is old enough, and still there, to date a certificate back."""
    (folder / "signing.cnf").write_text(SIGNING)
    (folder / "signed.txt").touch()
    _openssl(
        folder, "req", "-new", *NEW_KEY, *_named("localhost", "expired"), "-addext", "subjectAltName=DNS:localhost"
    )
    request = ("-in", "expired.pem", "-out", "expired.pem", "-cert", "known.pem", "-keyfile", "known.key")
    _openssl(folder, "ca", "-batch", "-notext", "-config", "signing.cnf", *request, *LONG_AGO)
    return _context(folder, "expired")


def _named(name: str, file: str) -> tuple[str, ...]:
    return ("-subj", f"/CN={name}", "-keyout", f"{file}.key", "-out", f"{file}.pem")


def _context(folder: Path, file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{file}.pem", folder / f"{file}.key")
    return context


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(("openssl", *arguments), cwd=folder, check=True, capture_output=True)
