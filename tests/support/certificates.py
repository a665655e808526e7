"""Certificates for tests, made when they run: by the program ``openssl``."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files."""

    cert: Path
    key: Path

    def trusted(self, client: "Certificate | None" = None) -> ssl.SSLContext:
        """What a client connects with that trusts it, and shows the certificate of its own."""
        context = ssl.create_default_context(cafile=self.cert)
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        return context

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())


def certificate(folder: Path, name: str, *, passphrase: str | None = None) -> Certificate:
    """One for 127.0.0.1, signed by itself."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    secret = ["-noenc"] if passphrase is None else ["-passout", f"pass:{passphrase}"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    about = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(made.key), "-out", str(made.cert)]
    subprocess.run(["openssl", "req", "-x509", *curve, *secret, *about, *files], check=True, capture_output=True)
    return made
