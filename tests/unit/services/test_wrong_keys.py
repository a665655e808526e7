"""How often one address may show wrong keys, and who goes on meanwhile."""

import pytest

from llm_service.domain import Caller, InvalidApiKey, Secret
from llm_service.services import Authenticator, WrongKeys
from llm_service.services.wrong_keys import KEPT_ADDRESSES, is_guessable
from tests.support.clock import ManualClock
from tests.support.control import ADMIN_KEY, Parts, parts_of
from tests.support.service import LogLines
from tests.unit.services.test_authenticator import credentials

PEER = "10.0.0.7"


class Gate:
    """An authenticator whose clock the test turns."""

    def __init__(self, parts: Parts, *, per_minute: int = 3, admin_key: str = ADMIN_KEY) -> None:
        self.clock = ManualClock()
        self.log = LogLines()
        self.authenticator = Authenticator(
            admin_key=Secret(admin_key),
            keyless=False,
            allowed_origins=(),
            keys=parts.process.issued,
            wrong_keys=WrongKeys(self.clock.monotonic, self.log, per_minute=per_minute),
        )

    async def shown(self, key: str, peer: str = PEER) -> str:
        """Whose key it is, or the code of the refusal."""
        try:
            caller = self.authenticator.authenticate(credentials(key=key, peer=peer))
            return (caller if isinstance(caller, Caller) else await caller).key_id
        except InvalidApiKey as refused:
            return "told" if key in refused.message else "wrong" if refused.retry_after_s is None else "wait"


def unknown(number: int) -> str:
    """A key in the form of ours that nobody has."""
    return "llms_" + f"{number:0>12}".replace("0", "a").replace("1", "b") + "_" + "b" * 52


async def test_guesses_are_slowed_down_whatever_their_form_and_a_hit_is_not_told() -> None:
    gate = Gate(parts_of())
    shown = [await gate.shown(key) for key in ("guess", "llms_nonsense", unknown(1), "guess", unknown(2))]
    assert shown == ["wrong"] * 3 + ["wait"] * 2
    assert await gate.shown(ADMIN_KEY) == "wait"


async def test_neighbours_who_guess_cannot_keep_out_an_admin_key_that_nobody_can_guess() -> None:
    long = "6f1d2c3b4a5968778695a4b3c2d1e0f1"
    gate = Gate(parts_of(), admin_key=long)
    for _ in range(50):
        await gate.shown("guess")
    assert [await gate.shown("guess"), await gate.shown(long)] == ["wait", "admin"]


@pytest.mark.parametrize(
    ("key", "can_be"),
    [
        ("6f1d2c3b4a5968778695a4b3c2d1e0f1", False),
        ("6f1d2c3b4a5968778695a4b3c2d1e0f", True),  # 31
        ("admin" * 20, True),
        ("correct horse battery staple, and one more", False),
    ],
)
def test_short_and_monotonous_keys_can_be_guessed(key: str, *, can_be: bool) -> None:
    assert is_guessable(key) is can_be


async def test_an_issued_key_goes_on_from_the_same_address() -> None:
    parts = parts_of()
    issued = await parts.process.issue(scopes=["inference"])
    gate = Gate(parts)
    for _ in range(10):
        await gate.shown("guess")
    assert await gate.shown(issued.secret.reveal()) == issued.key.id


async def test_the_admin_key_opens_again_a_moment_later_though_the_guesses_go_on() -> None:
    gate = Gate(parts_of())
    for _ in range(50):
        await gate.shown("guess")
    gate.clock.advance(20.1)  # a third of a minute: one more try
    assert await gate.shown(ADMIN_KEY) == "admin"
    assert [await gate.shown("guess"), await gate.shown("guess")] == ["wrong", "wait"]


async def test_other_addresses_are_not_concerned() -> None:
    gate = Gate(parts_of())
    for _ in range(5):
        await gate.shown("guess")
    assert await gate.shown(ADMIN_KEY, "10.0.0.8") == "admin"


async def test_a_key_that_was_revoked_or_is_over_is_nobodys_guess() -> None:
    parts = parts_of()
    issued = await parts.process.issue(scopes=["inference"])
    gate = Gate(parts)
    await gate.shown(issued.secret.reveal())
    await parts.process.keys.revoke(issued.key.id)
    parts.process.issued.forget(issued.key.id)
    assert {await gate.shown(issued.secret.reveal()) for _ in range(10)} == {"wrong"}
    assert await gate.shown(ADMIN_KEY) == "admin"


async def test_the_log_tells_once_of_an_address_and_of_no_key() -> None:
    gate = Gate(parts_of())
    for number in range(20):
        await gate.shown(f"guess-{number}")
    assert gate.log.lines == [{"level": "warning", "event": "too many wrong keys", "address": PEER}]


def refused(wrong_keys: WrongKeys, peer: str | None) -> bool:
    try:
        wrong_keys.check(peer)
    except InvalidApiKey as error:
        return error.retry_after_s is not None and 0 < error.retry_after_s <= 60
    return False


def test_addresses_are_counted_apart_and_a_network_of_ipv6_as_one() -> None:
    wrong_keys = WrongKeys(ManualClock().monotonic, LogLines(), per_minute=1)
    for peer in ("10.0.0.1", "2001:db8:1:2::1", "::ffff:10.0.0.9", None):
        wrong_keys.count(peer)
    tried = {"10.0.0.1", "2001:db8:1:2:ffff::9", "10.0.0.9", None}
    others = {"10.0.0.2", "2001:db8:1:3::1"}
    assert {peer for peer in tried | others if refused(wrong_keys, peer)} == tried


def test_it_remembers_so_many_addresses_and_no_more() -> None:
    wrong_keys = WrongKeys(ManualClock().monotonic, LogLines(), per_minute=2)
    for number in range(KEPT_ADDRESSES + 100):
        wrong_keys.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(wrong_keys._tries) == KEPT_ADDRESSES


def test_who_is_wrong_again_is_remembered_longest() -> None:
    wrong_keys = WrongKeys(ManualClock().monotonic, LogLines(), per_minute=2, kept=2)
    for peer in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        wrong_keys.count(peer)
    assert [refused(wrong_keys, peer) for peer in ("10.0.0.1", "10.0.0.2")] == [True, False]


def test_nothing_is_counted_where_nobody_counts() -> None:
    guard = Authenticator(admin_key=Secret(ADMIN_KEY), keyless=False, allowed_origins=())
    for _ in range(100):
        with pytest.raises(InvalidApiKey):
            guard.authenticate(credentials(key="guess"))
    assert guard.authenticate(credentials(key=ADMIN_KEY)).key_id == "admin"  # type: ignore[union-attr]
