"""The URL of a store: every form is understood, and what is wrong is said without its secrets."""

import pytest

from llm_service.domain import Secret
from llm_service.storage import StoreUrl
from llm_service.storage.valkey_address import AddressError, Endpoint, Login, TlsFiles, parse_store_url
from llm_service.storage.valkey_topology import slot_of

UNDERSTOOD = {
    "redis://localhost": ("single", (Endpoint("localhost", 6379),), "", 0),
    "redis://10.0.0.1:7000/3": ("single", (Endpoint("10.0.0.1", 7000),), "", 3),
    "redis://[::1]:7000": ("single", (Endpoint("::1", 7000),), "", 0),
    "valkey://localhost": ("single", (Endpoint("localhost", 6379),), "", 0),
    "unix:///run/valkey.sock": ("single", (Endpoint("", 0, "/run/valkey.sock"),), "", 0),
    "unix:///run/a%20b.sock?db=2": ("single", (Endpoint("", 0, "/run/a b.sock"),), "", 2),
    "redis+sentinel://a,b:7/main": ("sentinel", (Endpoint("a", 26379), Endpoint("b", 7)), "main", 0),
    "redis+sentinel://a/main/4": ("sentinel", (Endpoint("a", 26379),), "main", 4),
    "redis+cluster://a:1,b:2": ("cluster", (Endpoint("a", 1), Endpoint("b", 2)), "", 0),
}


@pytest.mark.parametrize("url", UNDERSTOOD)
def test_a_url_is_taken_apart(url: str) -> None:
    found = parse_store_url(url)
    assert UNDERSTOOD[url] == (found.topology, found.endpoints, found.service, found.database)
    assert found.tls is None


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
def test_a_user_and_a_password_are_decoded(scheme: str) -> None:
    found = parse_store_url(f"{scheme}://us%40er:p%3A%2Fw@a:1{'/main' if 'sentinel' in scheme else ''}")
    assert found.login == Login(username="us@er", password=Secret("p:/w"))


def test_a_password_alone_has_no_user() -> None:
    assert parse_store_url("unix://:word@/run/s").login == Login(password=Secret("word"))


@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "rediss+cluster"])
def test_tls_is_verified_by_a_given_authority(scheme: str) -> None:
    assert parse_store_url(f"{scheme}://a?ca_file=/etc/ca.pem").tls == TlsFiles(ca_file="/etc/ca.pem")


def test_sentinels_have_a_login_of_their_own() -> None:
    found = parse_store_url("rediss+sentinel://u:p@a/main?sentinel_username=w&sentinel_password=q")
    assert (found.sentinel_login, found.tls) == (Login(username="w", password=Secret("q")), TlsFiles())


REFUSED = {
    "localhost:6379": "must be redis://",
    "http://localhost": "must be redis://",
    "redis://": "must be redis://",
    "redis://:c4n4ry@": "must be redis://",
    "redis://user@host": "must have a password",
    "redis://c4n4ry@:c4n4ry@host": "one '@'",
    "redis://:c4n4ry#@host": "'#'",
    "redis://:c4n4ry?x@host": "must",
    "redis://:c4n4ry @host": "blanks",
    "redis://:c4n4ry@host:99999": "port",
    "redis://:c4n4ry@host:0": "port",
    "redis://:c4n4ry@host/c4n4ry": "number",
    "redis://a,b": "one server",
    "redis://a/1/2": "nothing after",
    "redis://a?ca_file=/x": "rediss",
    "redis://a?ssl_cert_reqs=none": "unknown option ssl_cert_reqs",
    "rediss://a?ca_file=x": "absolute path",
    "rediss://a?cert_file=/x": "both",
    "redis+cluster://a/1": "only one",
    "redis+sentinel://a,b": "name of the service",
    "unix://run/valkey.sock": "absolute path",
    "unix:///run/s?ca_file=/x": "option",
}


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_wrong_with_a_url_is_said_without_its_secret(url: str) -> None:
    problem = StoreUrl().problem(url)
    assert problem is not None
    assert REFUSED[url] in problem
    assert "c4n4ry" not in problem


def test_nothing_is_wrong_with_a_good_url() -> None:
    assert StoreUrl().problem("rediss://:pass@host:6380/1") is None


def test_an_address_does_not_show_its_password() -> None:
    assert "c4n4ry" not in repr(parse_store_url("redis://u:c4n4ry@host"))


def test_an_error_does_not_carry_the_url_along() -> None:
    with pytest.raises(AddressError) as failed:
        parse_store_url("redis://:c4n4ry@[host")
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


# As the server's own CLUSTER KEYSLOT says.
SLOTS = {
    "foo": 12182,
    "llm:{adm}:life": 5822,
    "{adm}": 5822,
    "{a}{b}": 15495,
    "a{}b": 13694,
    "a{}b{c}": 7353,
    "{{a}}": 10276,
    "a}{b": 11640,
}


@pytest.mark.parametrize("key", SLOTS)
def test_the_slot_is_that_of_the_hash_tag(key: str) -> None:
    assert slot_of(key) == SLOTS[key]
