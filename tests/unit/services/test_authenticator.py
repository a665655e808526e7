import pytest

from llm_service.domain import Credentials, InvalidApiKey, NotLocal, Secret
from llm_service.services import Authenticator

ADMIN_KEY = "sk-test-admin-key-0123456789"


def credentials(**changed: object) -> Credentials:
    local: dict[str, object] = {
        "key": None,
        "peer": "127.0.0.1",
        "host": "127.0.0.1:8080",
        "origin": None,
        "forwarded": False,
        "json_body": True,
    }
    return Credentials(**{**local, **changed})  # type: ignore[arg-type]


def authenticator(
    *, admin_key: str | None = ADMIN_KEY, keyless: bool = True, origins: tuple[str, ...] = ()
) -> Authenticator:
    secret = None if admin_key is None else Secret(admin_key)
    return Authenticator(admin_key=secret, keyless=keyless, allowed_origins=origins)


def test_a_request_from_this_machine_needs_no_key() -> None:
    assert authenticator().authenticate(credentials()).key_id == "local"


@pytest.mark.parametrize("host", ["localhost:8080", "localhost", "[::1]:8080", "127.0.0.1", "127.9.9.9:1"])
def test_every_name_of_this_machine_is_local(host: str) -> None:
    assert authenticator().authenticate(credentials(host=host, peer="::1")).key_id == "local"


@pytest.mark.parametrize(
    "foreign",
    [
        {"peer": "10.0.0.7"},
        {"peer": None},
        {"host": "gateway.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"host": ""},
        {"host": "[::1]example.com"},
        {"host": "[127.0.0.1"},
        {"host": "127.0.0.1:example.com"},
        {"host": "localhost."},
        {"host": "example.com@127.0.0.1"},
        {"forwarded": True},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "127.0.0.1:8080"},
        {"origin": "http://example.com@127.0.0.1:8080"},
        {"json_body": False},
    ],
    ids=str,
)
def test_without_a_key_a_request_that_is_not_plainly_local_is_refused(foreign: dict[str, object]) -> None:
    with pytest.raises(NotLocal, match=r"set auth\.admin_key|name yours|Content-Type"):
        authenticator().authenticate(credentials(**foreign))


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "https://chat.example.com"])
def test_the_own_and_the_allowed_origins_may_ask(origin: str) -> None:
    allowed = authenticator(origins=("https://chat.example.com",))
    assert allowed.authenticate(credentials(origin=origin)).key_id == "local"


def test_the_admin_key_opens_from_anywhere() -> None:
    remote = credentials(key=ADMIN_KEY, peer="10.0.0.7", host="gateway.example.com", forwarded=True)
    assert authenticator(keyless=False).authenticate(remote).key_id == "admin"


@pytest.mark.parametrize("key", ["wrong", ADMIN_KEY[:-1], ADMIN_KEY + "x", "schlüssel", "\udcff"])
@pytest.mark.parametrize("keyless", [True, False])
def test_a_wrong_key_is_refused_always_and_never_repeated(key: str, keyless: bool) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        authenticator(keyless=keyless).authenticate(credentials(key=key))
    assert key not in refused.value.message


def test_local_counts_as_no_key_where_none_is_needed() -> None:
    assert authenticator(admin_key=None).authenticate(credentials(key="local")).key_id == "local"


def test_local_is_a_wrong_key_where_one_is_needed() -> None:
    with pytest.raises(InvalidApiKey):
        authenticator(keyless=False).authenticate(credentials(key="local"))


def test_local_does_not_open_to_others() -> None:
    with pytest.raises(NotLocal):
        authenticator().authenticate(credentials(key="local", peer="10.0.0.7"))


def test_where_a_key_is_required_its_absence_is_said() -> None:
    with pytest.raises(InvalidApiKey, match="Authorization: Bearer"):
        authenticator(keyless=False).authenticate(credentials())


def test_an_admin_key_that_looks_like_an_issued_one_opens_all_the_same() -> None:
    key = "llms_" + "a" * 12 + "_" + "b" * 52
    assert authenticator(admin_key=key).authenticate(credentials(key=key)).key_id == "admin"


def test_where_no_keys_are_issued_one_that_looks_so_is_a_wrong_key() -> None:
    with pytest.raises(InvalidApiKey, match="needs no key from its own machine"):
        authenticator().authenticate(credentials(key="llms_" + "a" * 12 + "_" + "b" * 52))


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (None, True),
        ("http://127.0.0.1:8080", True),
        ("https://127.0.0.1:8080", True),
        ("https://chat.example", True),
        ("https://chat.example.evil.example", False),
        ("http://127.0.0.1:8081", False),
        ("null", False),
        ("", False),
    ],
)
def test_pages_are_admitted_by_their_origin_alone(origin: str | None, admitted: bool) -> None:
    guard = authenticator(keyless=False, origins=("https://chat.example",))
    assert guard.admits_origin(credentials(origin=origin, key="wrong")) is admitted
