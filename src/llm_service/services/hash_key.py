"""The deployment's hash key: what api keys' secrets are hashed with, where it lies, and that it stays the same."""

import hmac
import os
import random
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llm_service.domain import KeySecret, Secret
from llm_service.runtime import sync_folder
from llm_service.storage import FactStore

HASH_KEY_FILE: Final = "hash.key"
HASH_KEY_FACT: Final = "hash_key"
"""The name of the fact that holds the fingerprint."""
_KEY_BYTES: Final = 32
_LONGEST_FILE: Final = 4096
_FINGERPRINT_OF: Final = b"llm-service: fingerprint of a hash key"
_NOBODY: Final = bytes(32)


class HashKeyError(Exception):
    """The hash key is missing, cannot be read, or is another one than before; the message says what to do."""


class HashKeys:
    """Keyed hashes (HMAC-SHA-256, RFC 2104) of whole secrets: the first key makes new ones, all of them verify."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        if not keys:
            raise ValueError("at least one hash key is needed")
        raw = [key.reveal().encode() for key in keys]
        self._keys = {fingerprint_of(key): key for key in reversed(raw)}
        self._first = raw[0]
        self.fingerprint: Final = fingerprint_of(raw[0])
        """Names the key that hashes, and tells nothing about it."""

    @property
    def fingerprints(self) -> frozenset[str]:
        """The names of all keys."""
        return frozenset(self._keys)

    def hash(self, secret: str) -> str:
        """The hash to store, hexadecimal."""
        return self.digest(secret, self._first).hex()

    def matcher(self, secret: KeySecret | None) -> "Matcher":
        """Compares presented secrets with a stored one; for ``None``, or an unknown hash key, at the same cost with
        nothing, and none matches."""
        key = self._keys.get(secret.hash_key) if secret is not None else None
        if secret is None or key is None:
            return Matcher(self._first, _NOBODY, possible=False)
        return Matcher(key, bytes.fromhex(secret.hash), possible=True)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A key for another purpose, of each hash key: the first one signs, all of them verify."""
        first = [self._first, *(key for key in self._keys.values() if key != self._first)]
        return tuple(self.digest(purpose, key) for key in first)

    @staticmethod
    def digest(secret: str, key: bytes) -> bytes:
        """The hash of a secret with one of the keys."""
        return hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256")


class Matcher:
    """Compares presented secrets with one stored hash, in constant time."""

    __slots__ = ("_expected", "_key", "possible")

    def __init__(self, key: bytes, expected: bytes, *, possible: bool) -> None:
        self._key = key
        self._expected = expected
        self.possible = possible
        """False: there is nothing to match, so what is compared with is no hash of anything."""

    def matches(self, presented: str) -> bool:
        """Whether this is the secret."""
        return hmac.compare_digest(HashKeys.digest(presented, self._key), self._expected)


def fingerprint_of(key: bytes) -> str:
    """A name for a hash key that is the same everywhere and tells nothing about it."""
    return hmac.digest(key, _FINGERPRINT_OF, "sha256").hex()[:16]


def hash_keys_of(
    configured: Sequence[Secret], *, data_dir: Path, shared_database: bool, source: random.Random
) -> HashKeys:
    """The configured hash keys; without any, the one in the data directory, made there at the first start.

    Raises HashKeyError where a shared database needs a configured one, and where the file cannot be used.
    """
    if configured:
        return HashKeys(configured)
    if shared_database:
        raise HashKeyError(
            "with a shared database auth.hash_key must be given, the same one to every machine: make one with "
            "`openssl rand -hex 32`, and set LLM_SERVICE_AUTH__HASH_KEY"
        )
    try:
        return HashKeys([_kept_in(data_dir / HASH_KEY_FILE, source)])
    except OSError as error:
        raise HashKeyError(f"{data_dir / HASH_KEY_FILE} cannot be used: {error.strerror or error}") from error


async def check_hash_keys(facts: FactStore, keys: HashKeys) -> None:
    """Raises HashKeyError unless one of the keys is the one that this database's api keys were hashed with.

    The first key's fingerprint is kept in the database at the first start, and again when that key is a new one
    beside the one that was known. Raises StoreUnavailable.
    """
    kept = await facts.put_if_absent(HASH_KEY_FACT, keys.fingerprint)
    if kept not in keys.fingerprints:
        raise HashKeyError(
            f"the api keys in this database were hashed with another hash key (fingerprint {kept}, and this one is "
            f"{keys.fingerprint}): give the former auth.hash_key or {HASH_KEY_FILE}; to replace it, list both"
        )
    if kept != keys.fingerprint:
        await facts.put(HASH_KEY_FACT, keys.fingerprint)


def _kept_in(path: Path, source: random.Random) -> Secret:
    """The key in a file, which is made with a new one where it is missing; whoever comes first makes it for all."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{source.randbytes(8).hex()}")
        _make(path, source.randbytes(_KEY_BYTES).hex(), draft=draft)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & stat.S_IRWXO:
            raise HashKeyError(f"{path} must be a file that is closed to others: chmod 600 it")
        text = file.read(_LONGEST_FILE).strip()
    if len(text) < _KEY_BYTES or not text.isascii():
        raise HashKeyError(f"{path} holds no hash key: bring back the one that was there")
    return Secret(text.decode())


def _make(path: Path, text: str, *, draft: Path) -> None:
    """Writes the file whole and safely on the disk, unless another process was quicker."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)
