"""No tracked file holds a secret: looked for by the service's own filter. Keys of tests have to look like tests."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from scripts.supply.packages import CHECKOUT

from llm_service.filters.options import FilterOptions
from llm_service.filters.secrets import SecretDetector, secret_detector
from llm_service.filters.text import Text

INVENTED: Final = ("tests/", "fuzz/corpus/")
"""Where keys may stand that open nothing."""
MARKS: Final = ("test", "canary", "c4n4ry", "example", "hidden")
"""What the keys of tests have in them, so that nobody takes one for real."""
SHORT: Final = 12
"""So short is no key, and in the address of a test no password."""
PUBLISHED: Final[Mapping[str, str]] = {  # the first 16 digits of the SHA-256 of what others have published
    "00f1d59eaaf55d5f": "local:local, as Basic writes it",
    "64d8d568f40fde75": "the example of RFC 7617, cut",
    "670b9d6f09faf504": "the example of jwt.io",
}


def found_in(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and digest of each secret that must not stand in this file."""
    for match in detector().find(Text(text)):
        secret = text[match.begin : match.end]
        if not (name.startswith(INVENTED) and is_invented(secret)):
            yield text.count("\n", 0, match.begin) + 1, match.label, digest_of(secret)


@cache
def detector() -> SecretDetector:
    return secret_detector(FilterOptions(type="secrets"))


def is_invented(secret: str) -> bool:
    return len(secret) < SHORT or any(mark in secret.lower() for mark in MARKS) or digest_of(secret) in PUBLISHED


def digest_of(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def tracked() -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    yield from listed.decode().split("\0")[:-1]


def main() -> int:
    """1 where a secret stands in a file; which one is not said, lest a log spread it."""
    problems = 0
    for name in tracked():
        path = Path(CHECKOUT, name)
        if path.is_file() and not path.is_symlink():
            for line, label, digest in found_in(name, path.read_bytes().decode("utf-8", "replace")):
                print(f"{name}:{line}: {label} ({digest})", file=sys.stderr)
                problems += 1
    if problems:
        print("Take it out, also of the history, and have it revoked; or make it look like a test.", file=sys.stderr)
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
