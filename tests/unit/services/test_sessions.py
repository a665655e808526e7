"""Sessions of browsers: who may use one, for how long, and what is no session."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from llm_service.domain import Caller, Credentials, InvalidApiKey, LedgerUnavailable, Secret
from llm_service.services import Authenticator, HashKeys, Issued, Session, Sessions
from llm_service.services.sessions import SESSION_S
from tests.support.key_service import HASH_KEY, Process, World, credentials

ADMIN_KEY = "sk-test-admin-key-0123456789"
ADMIN = Caller(key_id="admin", scopes=frozenset({"inference", "read", "admin"}))
HOST = "gateway.example.com"


class Ids:
    def __init__(self) -> None:
        self.given = 0

    def new(self, prefix: str) -> str:
        self.given += 1
        return f"{prefix}_{self.given:026x}"


def sessions_of(process: Process, *, hash_keys: HashKeys | None = None, admin_key: str | None = ADMIN_KEY) -> Sessions:
    return Sessions(
        hash_keys=hash_keys or process.world.hash_keys,
        admin_key=None if admin_key is None else Secret(admin_key),
        keys=process.issued,
        clock=process.world.clock,
        ids=Ids(),
    )


@pytest.fixture
def process() -> Process:
    return Process(World())


@pytest.fixture
def sessions(process: Process) -> Sessions:
    return sessions_of(process)


def shown(session: Session, **changed: Any) -> Credentials:
    """What a page of ours shows that changes something."""
    page = {"session": session.token, "csrf": session.csrf, "origin": f"https://{HOST}", "site": "same-origin"}
    return credentials(None, **{**page, **changed})


async def opened(sessions: Sessions, process: Process, issued: Issued) -> Session:
    return sessions.open(issued.secret.reveal(), await process.caller(issued))


async def answered(found: Caller | Awaitable[Caller]) -> Caller:
    return found if isinstance(found, Caller) else await found


async def holder(sessions: Sessions, given: Credentials) -> Caller:
    return await answered(sessions.caller(given))


# -- whose it is


async def test_a_session_of_the_admin_key_is_the_admin(sessions: Sessions) -> None:
    assert await holder(sessions, shown(sessions.open(ADMIN_KEY, ADMIN))) == ADMIN


async def test_a_session_of_an_issued_key_is_its_caller(sessions: Sessions, process: Process) -> None:
    issued = await process.issue(scopes=["read"])
    session = await opened(sessions, process, issued)
    assert await holder(sessions, shown(session)) == await process.caller(issued)


async def test_it_holds_in_a_process_that_has_not_seen_the_key(sessions: Sessions, process: Process) -> None:
    issued = await process.issue(scopes=["read"])
    session = await opened(sessions, process, issued)
    other = Process(process.world)
    assert (await holder(sessions_of(other), shown(session))).key_id == issued.key.id


async def test_a_token_holds_nothing_of_the_key(sessions: Sessions, process: Process) -> None:
    issued = await process.issue(scopes=["read"])
    secret = issued.secret.reveal()
    assert secret.rpartition("_")[2] not in (await opened(sessions, process, issued)).token
    assert ADMIN_KEY not in sessions.open(ADMIN_KEY, ADMIN).token
    assert HASH_KEY.reveal() not in sessions.open(ADMIN_KEY, ADMIN).token


def test_no_two_sessions_are_the_same(sessions: Sessions) -> None:
    one, other = sessions.open(ADMIN_KEY, ADMIN), sessions.open(ADMIN_KEY, ADMIN)
    assert (one.token != other.token, one.csrf != other.csrf) == (True, True)


# -- how it ends


async def test_it_ends_after_twelve_hours(sessions: Sessions, process: Process) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    process.world.clock.advance(SESSION_S - 1)
    assert await holder(sessions, shown(session)) == ADMIN
    process.world.clock.advance(1)
    with pytest.raises(InvalidApiKey, match="over"):
        await holder(sessions, shown(session))


async def test_it_ends_with_the_revocation_of_its_key(sessions: Sessions, process: Process) -> None:
    issued = await process.issue(scopes=["admin"])
    session = await opened(sessions, process, issued)
    await process.keys.revoke(issued.key.id)
    with pytest.raises(InvalidApiKey, match="revoked"):
        await holder(sessions, shown(session))


async def test_it_ends_with_its_key_in_other_processes_too(sessions: Sessions, process: Process) -> None:
    other = Process(process.world)
    other.changes.start()
    issued = await process.issue(scopes=["admin"])
    session = await opened(sessions, process, issued)
    await holder(sessions_of(other), shown(session))
    await process.keys.revoke(issued.key.id)
    with pytest.raises(InvalidApiKey, match="revoked"):
        await holder(sessions_of(other), shown(session))
    await other.tasks.aclose()


async def test_it_ends_when_its_key_expires(sessions: Sessions, process: Process) -> None:
    clock = process.world.clock
    issued = await process.issue(scopes=["read"], expires_at=f"{clock.now().date()}T01:00:00Z")
    session = await opened(sessions, process, issued)
    clock.advance(3600)
    with pytest.raises(InvalidApiKey, match="expired"):
        await holder(sessions, shown(session))


async def test_it_ends_with_the_secret_that_it_was_opened_with(sessions: Sessions, process: Process) -> None:
    issued = await process.issue(scopes=["read"])
    session = await opened(sessions, process, issued)
    renewed = await process.keys.rotate(issued.key.id, {"overlap_s": 60})
    assert (await holder(sessions, shown(session))).key_id == issued.key.id
    process.world.clock.advance(61)
    with pytest.raises(InvalidApiKey, match="replaced"):
        await holder(sessions, shown(session))
    assert await holder(sessions, shown(await opened(sessions, process, renewed)))


@pytest.mark.parametrize("admin_key", ["another admin key 0123", None])
async def test_it_ends_when_the_admin_key_is_another_one(
    sessions: Sessions, process: Process, admin_key: str | None
) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    with pytest.raises(InvalidApiKey, match="over"):
        await holder(sessions_of(process, admin_key=admin_key), shown(session))


# -- what is none


async def test_another_hash_key_verifies_nothing_and_a_second_one_still_does(
    sessions: Sessions, process: Process
) -> None:
    issued = await process.issue(scopes=["read"])
    session = await opened(sessions, process, issued)
    other = Secret("another0hash0key0of0the0tests000000000000000")
    with pytest.raises(InvalidApiKey):
        await holder(sessions_of(process, hash_keys=HashKeys([other])), shown(session))
    both = sessions_of(process, hash_keys=HashKeys([other, HASH_KEY]))
    assert (await holder(both, replace(shown(session), safe=True))).key_id == issued.key.id


async def test_no_part_of_a_token_can_be_changed(sessions: Sessions, process: Process) -> None:
    token = (await opened(sessions, process, await process.issue(scopes=["read"]))).token
    for at in range(len(token)):
        for letter in "a0._":
            changed = token[:at] + letter + token[at + 1 :]
            if changed != token:
                with pytest.raises(InvalidApiKey):
                    sessions.of(changed)


async def test_a_session_of_a_reader_cannot_be_made_one_of_the_admin(sessions: Sessions, process: Process) -> None:
    admin = sessions.open(ADMIN_KEY, ADMIN).token.split(".")
    reader = (await opened(sessions, process, await process.issue(scopes=["read"]))).token.split(".")
    for mixed in (reader[:1] + admin[1:3] + reader[3:], admin[:5] + reader[5:], reader[:2] + admin[2:3] + reader[3:]):
        with pytest.raises(InvalidApiKey):
            sessions.of(".".join(mixed))


@pytest.mark.parametrize("token", ["", "x", "1.admin", "1" * 100_000, "1.admin.\u0660" * 5, "\udcff", "é" * 300])
def test_garbage_is_no_session(sessions: Sessions, token: str) -> None:
    with pytest.raises(InvalidApiKey):
        sessions.of(token)


async def test_a_secret_stands_for_its_own_key_alone(process: Process) -> None:
    issued = await process.issue(scopes=["admin"])
    prefix = issued.secret.reveal().split("_")[1]
    for prefix_shown, key_id in ((prefix, "key_of_somebody"), ("a" * 12, issued.key.id)):
        with pytest.raises(InvalidApiKey, match="not known"):
            await answered(process.issued.holder(prefix_shown, key_id=key_id))
    assert (await answered(process.issued.holder(prefix, key_id=issued.key.id))).key_id == issued.key.id


async def test_while_the_database_is_away_an_unknown_session_has_to_wait_and_a_known_one_goes_on(
    sessions: Sessions, process: Process
) -> None:
    known, unknown = await process.issue(scopes=["read"]), await process.issue(scopes=["read"])
    held = [await opened(sessions, process, one) for one in (known, unknown)]
    process.issued.forget(unknown.key.id)
    process.world.store.away = True
    assert (await holder(sessions, shown(held[0]))).key_id == known.key.id
    with pytest.raises(LedgerUnavailable):
        await holder(sessions, shown(held[1]))


# -- what pages may do with it


@pytest.mark.parametrize("csrf", [None, "", "0" * 32, "é", "\udcff"])
async def test_nothing_is_changed_without_the_token_against_forgery(sessions: Sessions, csrf: str | None) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    with pytest.raises(InvalidApiKey, match="X-LLM-CSRF"):
        await holder(sessions, shown(session, csrf=csrf))
    assert await holder(sessions, shown(session, csrf=csrf, safe=True)) == ADMIN


async def test_the_token_against_forgery_of_another_session_is_none(sessions: Sessions) -> None:
    one, other = sessions.open(ADMIN_KEY, ADMIN), sessions.open(ADMIN_KEY, ADMIN)
    with pytest.raises(InvalidApiKey, match="X-LLM-CSRF"):
        await holder(sessions, shown(one, csrf=other.csrf))


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "https://evil.example.com"},
        {"origin": f"https://{HOST}:8443"},
        {"origin": "null"},
        {"site": "same-site"},
        {"site": "cross-site"},
        {"site": "cross-site", "origin": None},
        {"site": ""},
    ],
)
@pytest.mark.parametrize("safe", [True, False])
async def test_no_other_page_can_use_it(sessions: Sessions, page: dict[str, str | None], safe: bool) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    with pytest.raises(InvalidApiKey, match="other origins"):
        await holder(sessions, shown(session, safe=safe, **page))


@pytest.mark.parametrize("page", [{"site": "none", "origin": None}, {"site": None, "origin": None}, {"site": None}])
async def test_an_address_that_somebody_types_is_no_other_page(sessions: Sessions, page: dict[str, str | None]) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    assert await holder(sessions, shown(session, safe=True, **page)) == ADMIN


# -- through the authenticator


def authenticator_of(process: Process, sessions: Sessions, *, keyless: bool = False) -> Authenticator:
    origins = ("https://allowed.example.com",)
    return Authenticator(
        admin_key=Secret(ADMIN_KEY), keyless=keyless, allowed_origins=origins, keys=process.issued, sessions=sessions
    )


def test_a_key_that_is_shown_wins(process: Process, sessions: Sessions) -> None:
    session = sessions.open(ADMIN_KEY, ADMIN)
    with pytest.raises(InvalidApiKey, match="not known"):
        authenticator_of(process, sessions).authenticate(replace(shown(session), key="wrong"))


def test_an_allowed_origin_is_no_page_of_ours(process: Process, sessions: Sessions) -> None:
    session = shown(sessions.open(ADMIN_KEY, ADMIN), origin="https://allowed.example.com", safe=True)
    with pytest.raises(InvalidApiKey, match="other origins"):
        authenticator_of(process, sessions).authenticate(session)


def test_a_session_of_elsewhere_is_no_reason_to_refuse_who_needs_none(process: Process, sessions: Sessions) -> None:
    here = {"peer": "127.0.0.1", "host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}
    given = replace(shown(sessions.open(ADMIN_KEY, ADMIN)), session="stale", **here)
    assert authenticator_of(process, sessions, keyless=True).authenticate(given).key_id == "local"  # type: ignore[union-attr]


def test_behind_a_proxy_a_service_without_keys_takes_a_session(process: Process, sessions: Sessions) -> None:
    given = replace(shown(sessions.open(ADMIN_KEY, ADMIN)), forwarded=True)
    assert authenticator_of(process, sessions, keyless=True).authenticate(given) == ADMIN
