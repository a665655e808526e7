"""From a presented token to its caller: forged ones, known ones, and keys that change meanwhile."""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_service.domain import Caller, Credentials, InvalidApiKey, IssuerUnavailable
from llm_service.runtime import Tasks
from llm_service.services import Authenticator, FreshKeys, Issuer, KeyShelf, Tokens, WrongKeys, load_reader
from llm_service.services.issuers.base import KeysAway, KeySet, Verdict
from llm_service.services.issuers.fresh_keys import APART_S
from llm_service.services.issuers.presented import WrongToken
from tests.support.clock import ManualClock
from tests.support.issuers import SigningIssuer, part, private_key, public_jwk, signed
from tests.support.key_service import credentials
from tests.support.service import LogLines


class Counted:
    """Keys that count what they verify."""

    def __init__(self, keys: KeySet, world: "World") -> None:
        self._keys = keys
        self._world = world

    def verdict(self, token: str, *, kid: str | None, algorithm: str) -> Verdict:
        self._world.verified += 1
        return self._keys.verdict(token, kid=kid, algorithm=algorithm)


class World:
    """A process that takes the tokens of one issuer."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.issuer = SigningIssuer(now=self.clock.time())
        self.issuer.keys["ed"] = ("EdDSA", 0)
        self.tasks = Tasks(lambda _, failure: pytest.fail(repr(failure)))
        self.log = LogLines()
        self.fetched = self.verified = 0
        self.away = False

    async def fetch(self) -> bytes:
        self.fetched += 1
        if self.away:
            raise KeysAway("it is gone")
        return self.issuer.jwks

    def tokens(self, *, kept: int = 100, **options: Any) -> Tokens:
        reader = load_reader()
        keys = FreshKeys(
            self,
            name="sso",
            place="here",
            max_stale_s=3600.0,
            read=lambda text: Counted(reader(text), self),
            shelf=KeyShelf(),
            clock=self.clock,
            tasks=self.tasks,
            log=self.log,
        )
        return Tokens([Issuer(options=self.issuer.options(**options), keys=keys)], time=self.clock.time, kept=kept)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.tasks.aclose()


async def caller(tokens: Tokens, token: str) -> Caller:
    found = tokens.find(token)
    return found if isinstance(found, Caller) else await found


async def test_the_first_token_has_the_keys_fetched_and_the_next_ones_do_not(world: World) -> None:
    tokens = world.tokens()
    assert (await caller(tokens, world.issuer.token())).key_id == "jwt:sso:alice"
    assert isinstance(tokens.find(world.issuer.token(sub="bob")), Caller)
    assert world.fetched == 1


async def test_a_known_token_is_not_verified_again(world: World) -> None:
    tokens, token = world.tokens(), world.issuer.token()
    first = await caller(tokens, token)
    verified = world.verified
    assert tokens.find(token) is first
    assert world.verified == verified


async def test_no_more_than_so_many_are_known_and_those_that_came_last(world: World) -> None:
    tokens = world.tokens(kept=2)
    one, two, three = (world.issuer.token(sub=name) for name in ("one", "two", "three"))
    for token in (one, two, one, three):
        await caller(tokens, token)
    verified = world.verified
    for token in (one, three):
        await caller(tokens, token)
    assert world.verified == verified
    await caller(tokens, two)
    assert world.verified == verified + 1


async def test_a_known_token_ends_when_it_says(world: World) -> None:
    tokens = world.tokens(leeway_s=0)
    token = world.issuer.token(exp=world.clock.time() + 60)
    await caller(tokens, token)
    world.clock.advance(59)
    assert await caller(tokens, token)
    world.clock.advance(1)
    with pytest.raises(InvalidApiKey, match="has expired") as refused:
        await caller(tokens, token)
    assert not isinstance(refused.value, WrongToken)


# -- keys that change


async def test_a_new_key_is_found_at_once_and_its_former_one_works_on_while_it_is_shown(world: World) -> None:
    tokens, former = world.tokens(), world.issuer.token()
    await caller(tokens, former)
    world.issuer.keys["k2"] = ("ES256", 1)
    world.clock.advance(APART_S)
    assert await caller(tokens, world.issuer.token("k2"))
    assert await caller(tokens, former)
    assert world.fetched == 2


async def test_a_key_that_is_withdrawn_takes_its_tokens_along_known_ones_too(world: World) -> None:
    tokens, former = world.tokens(), world.issuer.token()
    await caller(tokens, former)
    del world.issuer.keys["k1"]
    world.issuer.keys["k2"] = ("ES256", 1)
    world.clock.advance(APART_S)
    await caller(tokens, world.issuer.token("k2"))
    with pytest.raises(WrongToken):
        await caller(tokens, former)


async def test_invented_ids_have_the_keys_fetched_once_in_ten_seconds(world: World) -> None:
    tokens = world.tokens()
    await caller(tokens, world.issuer.token())
    world.clock.advance(APART_S)
    for number in range(50):
        with pytest.raises(WrongToken):
            await caller(tokens, world.issuer.token(header={"kid": f"invented-{number}"}))
    assert world.fetched == 2


async def test_while_the_issuer_is_away_known_keys_serve_and_without_any_one_may_come_again(world: World) -> None:
    world.away = True
    tokens = world.tokens()
    with pytest.raises(IssuerUnavailable) as refused:
        await caller(tokens, world.issuer.token())
    assert refused.value.retryable
    world.away = False
    world.clock.advance(APART_S)
    await caller(tokens, world.issuer.token())
    world.away = True
    world.clock.advance(APART_S)
    assert await caller(tokens, world.issuer.token(sub="bob"))
    with pytest.raises(WrongToken):  # it is not known whether it is a new key; a token that comes again is told
        await caller(tokens, world.issuer.token(header={"kid": "k2"}))


async def test_keys_that_are_too_old_end_known_tokens_as_well(world: World) -> None:
    tokens, token = world.tokens(), world.issuer.token(exp=world.clock.time() + 10_000)
    await caller(tokens, token)
    world.away = True
    world.clock.advance(3601)
    with pytest.raises(IssuerUnavailable):
        await caller(tokens, token)


# -- forged ones


def unsigned(world: World, algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'kid': 'k1'})}.{part(world.issuer.claims())}."


def by_public_key(world: World) -> str:
    said = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(world.issuer.claims())}"
    secret = json.dumps(public_jwk(private_key("ES256"))).encode()
    return f"{said}.{part(hmac.digest(secret, said.encode(), 'sha256'))}"


def changed(world: World) -> str:
    head, _, signature = world.issuer.token().split(".")
    return f"{head}.{part(world.issuer.claims(sub='root'))}.{signature}"


def other_head(world: World) -> str:
    _, claims, signature = world.issuer.token().split(".")
    return f"{part({'alg': 'ES256', 'kid': 'k1', 'x': 1})}.{claims}.{signature}"


def by_own_key(world: World, **header: Any) -> str:
    return signed(world.issuer.claims(), private_key("ES256", 9), "ES256", kid="k1", **header)


FORGED: dict[str, Callable[[World], str]] = {
    "signed by nobody": lambda world: unsigned(world, "none"),
    "signed by nobody, in capitals": lambda world: unsigned(world, "nOnE"),
    "no signature": lambda world: unsigned(world, "ES256"),
    "the public key as a secret": by_public_key,
    "other claims": changed,
    "another head": other_head,
    "a key of their own": by_own_key,
    "a key of their own, brought along": lambda world: by_own_key(world, jwk=public_jwk(private_key("ES256", 9))),
    "a key of their own, at an address": lambda world: by_own_key(world, jku="http://127.0.0.1:1/keys"),
    "a certificate of their own, at an address": lambda world: by_own_key(world, x5u="http://127.0.0.1:1/cert"),
    "an id that leads elsewhere": lambda world: world.issuer.token(header={"kid": "../../../../dev/null"}),
    "another issuer": lambda world: world.issuer.token(iss="https://evil.example"),
    "almost the issuer": lambda world: world.issuer.token(iss=world.issuer.url + "/"),
    "no issuer": lambda world: world.issuer.token(iss=None),
    "an issuer that is a list": lambda world: world.issuer.token(iss=[world.issuer.url]),
    "another audience": lambda world: world.issuer.token(aud="billing"),
    "no end": lambda world: world.issuer.token(exp=None),
    "a good key of an algorithm that is not taken": lambda world: world.issuer.token("ed"),
    "a signature of another form": lambda world: world.issuer.token()[:-4],
    "rubbish": lambda _: "a.b.c",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused_counted_and_never_repeated(
    world: World, forged: Callable[[World], str]
) -> None:
    tokens, token = world.tokens(algorithms=("ES256",)), forged(world)
    await caller(tokens, world.issuer.token())
    with pytest.raises(WrongToken) as refused:
        await caller(tokens, token)
    assert token not in refused.value.message
    with pytest.raises(WrongToken):  # and is not remembered for a good one
        await caller(tokens, token)


# -- at the door


def door(world: World, **options: Any) -> Authenticator:
    wrong = WrongKeys(world.clock.monotonic, world.log, per_minute=3)
    tokens = world.tokens(**options)
    return Authenticator(admin_key=None, keyless=False, allowed_origins=(), tokens=tokens, wrong_keys=wrong)


async def shown(door: Authenticator, token: str) -> Caller:
    asked: Credentials = credentials(token)
    found = door.authenticate(asked)
    return found if isinstance(found, Caller) else await found


async def test_wrong_tokens_count_as_wrong_keys_and_good_ones_go_on(world: World) -> None:
    entrance = door(world)
    for _ in range(3):
        with pytest.raises(InvalidApiKey, match="not signed"):
            await shown(entrance, by_own_key(world))
    with pytest.raises(InvalidApiKey, match="Too many wrong keys"):
        await shown(entrance, by_own_key(world))
    assert (await shown(entrance, world.issuer.token())).key_id == "jwt:sso:alice"


async def test_a_token_that_has_expired_was_nobody_s_guess(world: World) -> None:
    entrance = door(world)
    for _ in range(9):
        with pytest.raises(InvalidApiKey, match="has expired"):
            await shown(entrance, world.issuer.token(exp=world.clock.time() - 60))


async def test_without_issuers_a_token_is_a_key_that_nobody_has(world: World) -> None:
    entrance = Authenticator(admin_key=None, keyless=False, allowed_origins=())
    with pytest.raises(InvalidApiKey, match="not known here"):
        await shown(entrance, world.issuer.token())


async def test_an_issuer_s_tokens_are_not_taken_for_another_s(world: World) -> None:
    """Each issuer's keys verify what says that it is of this issuer, and nothing else."""
    other = replace(world.issuer, url="https://other.example", keys={"k1": ("ES256", 5)})
    tokens = world.tokens()
    await caller(tokens, world.issuer.token())
    with pytest.raises(WrongToken, match="not signed"):
        await caller(tokens, replace(other, url=world.issuer.url).token())
    with pytest.raises(WrongToken, match="issuer"):
        await caller(tokens, other.token())
