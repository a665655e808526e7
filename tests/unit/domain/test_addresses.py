"""An address is judged by where it leads, however it is spelt."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Address, Ambiguous, Reach, address_of, reach_of


def reach(url: str) -> Reach | None:
    scheme, host = address_of(url)
    return reach_of(host) if scheme in ("http", "https") else None


PRIVATE = """
    http://127.0.0.1/ http://127.1/ http://127.0.1 http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://0177.0.0.1/
    http://0177.1 http://017700000001/ http://0/ http://0.0.0.0:80/ http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]:8080
    http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::]/
    http://10.1.2.3 http://010.0.0.1/ http://172.16.0.1/ http://192.168.1.1/x.png http://100.64.0.1/ http://224.0.0.1/
    http://255.255.255.255/ http://[fc00::1]/ http://[fd12::1]/ http://[ff02::1]/ http://198.18.0.1/
    http://localhost/ http://LOCALHOST:8080/ http://localhost./ http://a.localhost/ http://redis:6379/ http://vllm/
    http://printer.local/ http://db.internal/ http://host.docker.internal/ http://x.svc.cluster.local/ http://router.lan
    http://127.0.0.1.nip.io/ http://10-0-0-1.sslip.io http://localtest.me.localhost/ http://app.localtest.me/
    http://user:pw@127.0.0.1/ http://example.com@127.0.0.1/ http://127.0.0.1?x http://127.0.0.1#x HTTP://127.0.0.1/
    http://\uff11\uff12\uff17.0.0.1/ http://\u2460\u2461\u2466.0.0.1/ http://127\u30020\u30020\u30021/ http://127\uff0e0.0.1/
    http://loc\u00adalhost/ http://\uff4cocalhost/ http://lo\u200bcalhost/
""".split()
METADATA = """
    http://169.254.169.254/latest/meta-data/ http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/
    http://169.254.43518/ http://[::ffff:a9fe:a9fe]/ http://[fe80::1]/ http://[fd00:ec2::254]/ http://[fd20:ce::254]/
    http://100.100.100.200/ http://192.0.0.192/ http://168.63.129.16/ http://metadata.google.internal/ http://metadata/
    http://METADATA.google.internal./computeMetadata http://[64:ff9b::a9fe:a9fe]/ http://[2002:a9fe:a9fe::]/
""".split()
PUBLIC = """
    https://example.com/cat.png https://example.com:8443/a?b=c#d http://8.8.8.8/ http://[2606:4700::1111]/ https://1.1.1.1
    https://user@example.com/x https://medium.com/@user/pic.png https://b\u00fccher.example/ https://xn--bcher-kva.example/
    https://a_b.example.com/ https://example.com/?u=http://127.0.0.1/ https://localhost.example.com/ https://example.com./
""".split()
UNCLEAR = [
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http:\\\\127.0.0.1",
    "http:127.0.0.1",
    "http:/127.0.0.1/",
    "http:///127.0.0.1/",
    "http://",
    "http://@/",
    "http://a@b@127.0.0.1/",
    "http://example.com#@127.0.0.1/",
    "http://example.com?@127.0.0.1/",
    "http://127.0.0.1%2f@example.com/",
    "http://%31%32%37.0.0.1/",
    "http://[fe80::1%25eth0]/",
    "http://[::1",
    "http://[::1]x/",
    "http://[example.com]/",
    "http://::1/",
    "http://1:2:3/",
    "http://127.0.0\n.1/",
    "ht\ntp://127.0.0.1/",
    "\x00http://127.0.0.1/",
    "http://exa mple.com/",
    "http://example.com/\r\nHost: x",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://99999999999/",
    "http://example.1/",
    "http://0x100000000/",
    "//127.0.0.1/x.png",
    "\\\\127.0.0.1\\x.png",
    "http://\u00ad/",
    "http://./",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_this_machine_and_private_networks_are_found_in_every_spelling(url: str) -> None:
    assert reach(url) == "private"


@pytest.mark.parametrize("url", METADATA)
def test_where_clouds_keep_credentials_is_found_in_every_spelling(url: str) -> None:
    assert reach(url) == "metadata"


@pytest.mark.parametrize("url", PUBLIC)
def test_what_everybody_can_reach_is_public(url: str) -> None:
    assert reach(url) == "public"


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example" + "c" * 5000 + "@169.254.169.254/latest",
        "https://a.example:" + "c" * 5000 + "@169.254.169.254/latest",
        " " * 4000 + "http://169.254.169.254/",
    ],
)
def test_what_stands_far_behind_the_beginning_counts(url: str) -> None:
    assert reach(url) == "metadata"


@pytest.mark.parametrize(
    "url",
    [
        " " * 5000 + "http://169.254.169.254/",
        "h" + "\n" * 5000 + "ttp://169.254.169.254/",
        "https://example.com?" + "x" * 5000 + "@10.0.0.1/",
        "https://example.com/" + "x" * 65_536,
        "ht tps://example.com/",
        "https://example.com /",
        "https://example.com @10.0.0.1/",
    ],
)
def test_what_hides_behind_length_or_blanks_is_not_judged(url: str) -> None:
    with pytest.raises(Ambiguous):
        reach(url)


@pytest.mark.parametrize("url", ["https://example.com/my cat.png", " https://example.com/a?q=b c "])
def test_a_blank_in_a_path_is_only_careless(url: str) -> None:
    assert address_of(url) == Address("https", "example.com")


@pytest.mark.parametrize("url", UNCLEAR)
def test_what_readers_take_for_different_hosts_is_not_judged(url: str) -> None:
    with pytest.raises(Ambiguous):
        reach(url)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("data:image/png;base64,AAAA", "data"),
        (" DATA:text/plain,x", "data"),
        ("file:///etc/passwd", "file"),
        ("gopher://127.0.0.1/", "gopher"),
        ("iVBORw0KGgo=", ""),
        ("", ""),
    ],
)
def test_other_schemes_are_named(url: str, scheme: str) -> None:
    assert address_of(url) == Address(scheme, "")


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.lists(st.sampled_from("doxX"), min_size=4, max_size=4))
def test_all_spellings_of_an_address_lead_to_the_same_place(number: int, parts: int, bases: list[str]) -> None:
    octets = list(number.to_bytes(4, "big"))
    values = [*octets[: parts - 1], int.from_bytes(bytes(octets[parts - 1 :]), "big")]
    forms = {"d": "{}", "o": "0{:o}", "x": "0x{:x}", "X": "0X{:X}"}
    spelt = ".".join(forms[base].format(value) for base, value in zip(bases, values, strict=False))
    plain = reach(f"http://{IPv4Address(number)}/")
    found = reach(f"http://{spelt}/")
    assert found == plain or "o" in bases  # with a leading 0 it may be meant in two ways: the worse one counts
    if plain != "public":
        assert found != "public"
    mapped = IPv6Address(b"\0" * 10 + b"\xff\xff" + number.to_bytes(4, "big"))
    assert reach(f"http://[{mapped}]/") == plain


@given(st.text() | st.text("htp:/@\\#?[]%.0123x\n ", max_size=40).map("http://".__add__))
def test_any_text_is_judged_or_called_unclear(text: str) -> None:
    with suppress(Ambiguous):
        assert reach(text) in ("public", "private", "metadata", None)
