"""Addresses of IPv4 and IPv6."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from llm_service.filters.pii.kind import Kind, Span, stands_alone
from llm_service.filters.pii.words import before, words

_VERSION_WORDS: Final = words(
    """v, ver, version, versions, versión, versione, versão, versie, release, released, rev, revision, build, firmware,
    chapter, section, update, upgrade, upgraded, patch, driver, версия, версии, версию, 版本, バージョン, 버전"""
)
_ADDRESS_WORDS: Final = words(
    """ip, ips, address, addr, host, server, dns, nameserver, ping, gateway, client, router, adresse, adresa, dirección,
    indirizzo, endereço, адрес, сервер, 地址, アドレス, 주소"""
)
_REQUIREMENT: Final = re.compile(r"[=<>~^][ ]?\Z|[A-Za-z][-_]\Z|/[vV]?\Z")


def ipv4(text: str, begin: int, end: int) -> Span | None:
    """Where it may be a version as well (all of it below 10), a word or a port must say that it is an address."""
    written = text[begin:end]
    try:
        first = int(IPv4Address(written)) >> 24
    except AddressValueError:
        return None
    if not first or not stands_alone(text, begin, end, joints="-.,"):
        return None
    said = before(text, begin)
    if _ADDRESS_WORDS.among(said) or text.startswith("://", begin - 3):
        return begin, end
    if _VERSION_WORDS.among(said) or _REQUIREMENT.search(text, max(0, begin - 3), begin):
        return None
    if all(len(number) == 1 for number in written.split(".")) and not _has_port(text, end):
        return None
    return begin, end


def _has_port(text: str, end: int) -> bool:
    return text[end : end + 1] in {":", "/"} and text[end + 1 : end + 2].isdigit()


def ipv6(text: str, begin: int, end: int) -> Span | None:
    """Not ``::`` between words of a program: there are three groups, or a digit."""
    if _joined(text[begin - 1 : begin], ":._") or _joined(text[end : end + 1], ":_"):
        return None
    written = text[begin:end].rstrip(".")
    if written.endswith(":") and not written.endswith("::"):
        written = written[:-1]
    groups = [group for group in written.split(":") if group]
    if not groups or (len(groups) < 3 and not any(map(str.isdigit, written))):
        return None
    try:
        IPv6Address(written)
    except AddressValueError:
        return None
    return begin, begin + len(written)


def _joined(neighbour: str, joints: str) -> bool:
    return neighbour.isalnum() or (neighbour != "" and neighbour in joints)


IPV4: Final = Kind(label="ip", pattern=r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", check=ipv4)
IPV6: Final = Kind(
    label="ip",
    pattern=r"[0-9A-Fa-f]{0,4}:(?:[0-9A-Fa-f]{0,4}:){1,7}(?:[0-9A-Fa-f]{1,4})?(?:\.[0-9]{1,3}){0,3}",
    check=ipv6,
)
