"""The hash key: made once, kept closed, the same for a database for ever, replaced in steps."""

import random
import stat
import threading
from pathlib import Path

import pytest

from llm_service.domain import KeySecret, Secret
from llm_service.services import HASH_KEY_FILE, HashKeyError, HashKeys, check_hash_keys, hash_keys_of
from llm_service.services.hash_key import HASH_KEY_FACT, fingerprint_of
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryFacts

OLD, NEW, OTHER = (Secret(letter * 40) for letter in "xyz")
LOCAL = {"shared_database": False, "source": random.Random(1)}


def stored(keys: HashKeys, secret: str) -> KeySecret:
    hashed = {"hash": keys.hash(secret), "hash_key": keys.fingerprint}
    return KeySecret(key_id="key_1", prefix="p", created_at=ManualClock().now(), **hashed)


def test_a_hash_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first, again = (hash_keys_of((), data_dir=tmp_path, **LOCAL) for _ in range(2))  # type: ignore[arg-type]
    assert first.fingerprint == again.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == [HASH_KEY_FILE]


def test_the_file_is_closed_to_everybody_else(tmp_path: Path) -> None:
    hash_keys_of((), data_dir=tmp_path, **LOCAL)  # type: ignore[arg-type]
    assert stat.S_IMODE((tmp_path / HASH_KEY_FILE).stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    found: list[str] = []

    def start(seed: int) -> None:
        together.wait()
        keys = hash_keys_of((), data_dir=tmp_path, shared_database=False, source=random.Random(seed))
        found.append(keys.fingerprint)

    threads = [threading.Thread(target=start, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(("content", "mode", "said"), [
    ("k" * 64, 0o604, "closed to others: chmod 600"),
    ("", 0o600, "holds no hash key"),
    ("short", 0o600, "holds no hash key"),
])  # fmt: skip
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, content: str, mode: int, said: str) -> None:
    (tmp_path / HASH_KEY_FILE).write_text(content)
    (tmp_path / HASH_KEY_FILE).chmod(mode)
    with pytest.raises(HashKeyError, match=said):
        hash_keys_of((), data_dir=tmp_path, **LOCAL)  # type: ignore[arg-type]


def test_a_link_to_somewhere_else_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("k" * 64)
    (tmp_path / HASH_KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HashKeyError, match="cannot be used"):
        hash_keys_of((), data_dir=tmp_path, **LOCAL)  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HashKeyError, match="cannot be used: No such file"):
        hash_keys_of((), data_dir=tmp_path / "gone", **LOCAL)  # type: ignore[arg-type]


def test_a_shared_database_wants_a_configured_one(tmp_path: Path) -> None:
    with pytest.raises(HashKeyError, match=r"auth\.hash_key must be given"):
        hash_keys_of((), data_dir=tmp_path, shared_database=True, source=random.Random(1))
    assert list(tmp_path.iterdir()) == []


def test_a_configured_one_makes_no_file(tmp_path: Path) -> None:
    keys = hash_keys_of((NEW, OLD), data_dir=tmp_path, **LOCAL)  # type: ignore[arg-type]
    assert keys.fingerprints == {fingerprint_of(key.reveal().encode()) for key in (NEW, OLD)}
    assert list(tmp_path.iterdir()) == []


def test_the_first_key_hashes_and_all_verify() -> None:
    before, both = HashKeys([OLD]), HashKeys([NEW, OLD])
    assert both.matcher(stored(before, "secret")).matches("secret")
    assert stored(both, "secret") == stored(HashKeys([NEW]), "secret")
    assert not both.matcher(stored(before, "secret")).matches("other")


@pytest.mark.parametrize("keys", [HashKeys([NEW]), HashKeys([NEW, OTHER])])
def test_nothing_matches_a_hash_of_an_unknown_key_or_of_nobody(keys: HashKeys) -> None:
    assert not keys.matcher(stored(HashKeys([OLD]), "secret")).matches("secret")
    assert not keys.matcher(None).matches("secret")


async def test_the_first_start_puts_the_fingerprint_down_and_later_ones_agree() -> None:
    facts = MemoryFacts()
    for _ in range(2):
        await check_hash_keys(facts, HashKeys([OLD]))
    assert facts.facts == {HASH_KEY_FACT: HashKeys([OLD]).fingerprint}


async def test_another_hash_key_refuses_to_start_and_changes_nothing() -> None:
    facts = MemoryFacts()
    await check_hash_keys(facts, HashKeys([OLD]))
    with pytest.raises(HashKeyError, match="were hashed with another hash key") as refused:
        await check_hash_keys(facts, HashKeys([NEW]))
    assert facts.facts == {HASH_KEY_FACT: HashKeys([OLD]).fingerprint}
    assert not any(key.reveal() in str(refused.value) for key in (OLD, NEW))


async def test_a_hash_key_is_replaced_step_by_step() -> None:
    facts = MemoryFacts()
    for keys in ([OLD], [OLD, NEW], [NEW, OLD], [NEW]):
        await check_hash_keys(facts, HashKeys(keys))
    with pytest.raises(HashKeyError):
        await check_hash_keys(facts, HashKeys([OLD]))


def test_a_fingerprint_tells_nothing_of_the_key() -> None:
    assert fingerprint_of(b"k" * 40) != HashKeys([Secret("k" * 40)]).hash("k" * 40)[:16]
    assert "x" * 4 not in repr(HashKeys([OLD]))
