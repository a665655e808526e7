"""Where an address leads, as far as it says so itself: judged by its spelling, in all spellings, without asking DNS.

Servers that fetch what a request names read addresses in their own ways: hosts as one number, in octal or hexadecimal,
with letters of other widths, with control characters inside. An address that two readers could take for two hosts is
not judged but refused. Sources: RFC 3986, RFC 6890, the URL Standard of WHATWG (host parsing), inet_aton(3).
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal, NamedTuple

Reach = Literal["public", "private", "metadata"]
"""``metadata``: addresses at which clouds tell machines their credentials. Nothing that is to be shown is there."""

HEAD_CHARS: Final = 4096
"""In so much of an address its scheme has to be; of ``data:`` no more than this is read."""

MOST_CHARS: Final = 65_536
"""No server takes a longer address of the web. It is looked at whole: what leads elsewhere may stand far behind."""


class Address(NamedTuple):
    """An address taken apart. ``scheme`` in small letters, ``""`` where there is none; ``host`` as it is resolved."""

    scheme: str
    host: str


class Ambiguous(ValueError):
    """Readers differ on where the address leads; the message is the end of a sentence."""


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AROUND: Final = "".join(map(chr, range(0x21)))
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")
_AUTHORITY: Final = re.compile(r"//([^/?#\\]*)(.?)", re.DOTALL)
_WEB: Final = frozenset(("http", "https"))
_PORT: Final = re.compile(r":[0-9]*\Z")
_NUMBER: Final = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\Z")

_METADATA: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",  # AWS, Azure, Google, DigitalOcean, and all that is link-local
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "168.63.129.16/32",  # Azure's agent; a public address that every machine there can reach
        "fe80::/10",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/32",  # Google
    )
)
_METADATA_NAMES: Final = frozenset(
    ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")
)
_PRIVATE_ENDS: Final = (
    *(".localhost", ".localdomain", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".private"),
    *(".home.arpa", ".svc", ".test", ".invalid"),
    *(".nip.io", ".sslip.io", ".xip.io", ".localtest.me", ".lvh.me", ".vcap.me"),  # names that stand for any address
)
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")


def address_of(url: str) -> Address:
    """An address taken apart. Raises Ambiguous."""
    bare = _BLANK.sub("", url[:HEAD_CHARS])
    found = _SCHEME.match(bare)
    if found is None:
        if bare.startswith(("//", "\\")) or ":" in url:
            raise Ambiguous("must begin with its scheme, such as https:")
        return Address("", "")
    scheme = found[1].lower()
    if scheme not in _WEB:
        return Address(scheme, "")
    if len(url) > MOST_CHARS:
        raise Ambiguous(f"must not be longer than {MOST_CHARS} characters")
    named, _, rest = url.strip(_AROUND).partition(":")
    if " " in named or _CONTROL.search(url):
        raise Ambiguous("must not hold control characters, nor blanks before its path")
    return Address(scheme, _host(rest))


def _host(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    if found is None or not found[1]:
        raise Ambiguous("must name a host after ://")
    authority, end = found[1], found[2]
    if " " in authority:  # in a path they are only careless
        raise Ambiguous("must not hold control characters, nor blanks before its path")
    if end == "\\" or (end in ("?", "#") and "@" in rest[found.end() :]):
        raise Ambiguous("is read in several ways: which host it means is not certain")
    _, at, host = authority.rpartition("@")
    if at and "@" in authority[: -len(host) - 1]:
        raise Ambiguous("is read in several ways: it has two @ before its path")
    host = _PORT.sub("", host)
    if "%" in authority:
        raise Ambiguous("must spell its host without %")
    if host.startswith("["):
        if not host.endswith("]"):
            raise Ambiguous("must be closed by ] where its host begins with [")
        return host
    if ":" in host:
        raise Ambiguous("must put an address of IPv6 in brackets")
    name = _as_resolved(host)
    if not name:
        raise Ambiguous("must name a host after ://")
    return name


def _as_resolved(host: str) -> str:
    """A host's name in the letters that it is resolved by (UTS 46): no widths, no capitals, nothing unseen."""
    if not host.isascii():
        host = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
        host = "".join(letter for letter in host if unicodedata.category(letter) != "Cf")
    return host.casefold().rstrip(".")


def reach_of(host: str) -> Reach:
    """Where a host is, by its spelling; a name that says nothing of it counts as public. Raises Ambiguous."""
    if host.startswith("["):
        try:
            return _worst(_meant_by(IPv6Address(host[1:-1])))
        except AddressValueError:
            raise Ambiguous("must hold an address of IPv6 in its brackets") from None
    if _NUMBER.match(host.rpartition(".")[2]):
        return _worst(_spelt(host))
    if host in _METADATA_NAMES:
        return "metadata"
    return "private" if "." not in host or f".{host}".endswith(_PRIVATE_ENDS) else "public"


def _spelt(host: str) -> Iterator[IPv4Address]:
    """What a host of numbers may mean: with 0 for octal, as most read it, and without."""
    readings: set[IPv4Address] = set()
    for octal in (True, False):
        with suppress(ValueError):
            readings.add(_ipv4(host.split("."), octal=octal))
    if not readings:
        raise Ambiguous("must name a host, or an address in four numbers")
    yield from readings


def _ipv4(parts: list[str], *, octal: bool) -> IPv4Address:
    """One to four numbers, of which the last fills what is left. Raises ValueError."""
    if len(parts) > 4 or not all(map(_NUMBER.match, parts)):
        raise ValueError("no numbers")
    *first, last = (_value(part, octal=octal) for part in parts)
    if any(value > 255 for value in first) or last >= 256 ** (4 - len(first)):
        raise ValueError("too large")
    for place, value in enumerate(first):
        last += value << 8 * (3 - place)
    return IPv4Address(last)


def _value(part: str, *, octal: bool) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    if len(part) > 16:
        raise ValueError("too large")
    return int(part, 8) if octal and part[0] == "0" else int(part)


def _meant_by(address: IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """An address of IPv6, and that of IPv4 which stands in it."""
    within = address.ipv4_mapped or address.sixtofour
    if within is None and (teredo := address.teredo) is not None:
        within = teredo[1]
    number = int(address)
    if within is None and (any(address in network for network in _NAT64) or (address in _COMPATIBLE and number > 1)):
        within = IPv4Address(number & 0xFFFF_FFFF)
    if within is not None:
        yield within
        return
    yield address


def _worst(addresses: Iterator[IPv4Address] | Iterator[IPv4Address | IPv6Address]) -> Reach:
    reaches = {_reach(address) for address in addresses}
    return "metadata" if "metadata" in reaches else "private" if "private" in reaches else "public"


def _reach(address: IPv4Address | IPv6Address) -> Reach:
    if any(address in network for network in _METADATA if network.version == address.version):
        return "metadata"
    return "public" if address.is_global and not address.is_multicast else "private"
