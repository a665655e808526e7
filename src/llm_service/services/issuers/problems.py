"""What is wrong with the settings of issuers, beyond the form of each."""

import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from llm_service.services.issuers.fetching import discovery_url, read_key_file
from llm_service.services.issuers.options import Condition, IssuerOptions
from llm_service.services.issuers.packages import load_reader, missing_packages

OPEN_ISSUERS: Final = frozenset(
    (
        "accounts.google.com",
        "https://accounts.google.com",
        "https://agent.buildkite.com",
        "https://app.terraform.io",
        "https://appleid.apple.com",
        "https://gitlab.com",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",  # personal accounts
        "https://oidc.vercel.com",
        "https://token.actions.githubusercontent.com",
    )
)
"""Anybody can have tokens of these, for any audience or for an account that costs nothing."""

_TO_EVERYBODY: Final = (
    "opens to everybody, since anybody can have a token of this issuer: say in require which are yours"
)

Problem = tuple[str, str]
"""Which setting, empty for the whole; and what is wrong, as the end of a sentence that begins with its name."""


def issuer_problems(options: IssuerOptions) -> Iterator[Problem]:
    """What is wrong with one issuer. Reads its files."""
    if missing := missing_packages():
        yield "", f"wants packages that are not installed ({', '.join(missing)}): pip install 'llm-service[jwt]'"
        return
    yield from _places(options)
    yield from _files(options)
    yield from _rights(options)


def _places(options: IssuerOptions) -> Iterator[Problem]:
    if options.jwks_url is not None and options.jwks_file is not None:
        yield "jwks_file", "is a second place of keys beside jwks_url: name one"
    elif options.jwks_file is None:
        setting, url = ("issuer", options.issuer) if options.jwks_url is None else ("jwks_url", options.jwks_url)
        if not _is_address(url):
            yield setting, "is no address that describes itself: name jwks_url or jwks_file"
        elif not _is_safe(url):
            yield setting, "must be https: whoever stands in the way could put keys of their own in place"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(discovery_url(url))
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fits and "@" not in parts.netloc


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _files(options: IssuerOptions) -> Iterator[Problem]:
    if options.jwks_file is not None and options.jwks_url is None:
        if options.ca_file is not None:
            yield "ca_file", "is for addresses, and jwks_file is none"
        try:
            load_reader()(read_key_file(options.jwks_file))
        except OSError as error:
            yield "jwks_file", f"cannot be read: {error.strerror or error}"
        except ValueError as fault:
            yield "jwks_file", str(fault)
    elif options.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(options.ca_file))
        except ssl.SSLError:
            yield "ca_file", "holds no certificates in PEM form"
        except OSError as error:
            yield "ca_file", f"cannot be read: {error.strerror or error}"


def _tells_apart(condition: Condition) -> bool:
    return "*" not in condition.has


def _rights(options: IssuerOptions) -> Iterator[Problem]:
    if not options.scopes and not any(grant.scopes for grant in options.grants):
        yield "", "gives nobody a scope: set scopes, or grants with scopes"
    is_open = options.issuer in OPEN_ISSUERS and not any(_tells_apart(one) for one in options.require)
    if is_open and options.scopes:
        yield "scopes", _TO_EVERYBODY
    for number, grant in enumerate(options.grants):
        if is_open and grant.scopes and not _tells_apart(grant):
            yield f"grants[{number}]", _TO_EVERYBODY
        if not grant.scopes and not grant.models:
            yield f"grants[{number}]", "gives nothing: name scopes or models"
