"""Every package that the service runs on may be passed on by anybody: checked by what each says of itself."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from scripts.supply.packages import Package, extras, locked, vendored

ALLOWED: Final = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "MIT-0"),
        *("PSF-2.0", "Unicode-3.0", "Unlicense", "Zlib"),
    )
)
EXCEPTIONS: Final[Mapping[str, str]] = {
    "orjson": "MPL-2.0",  # copyleft of its own files alone, which are used unchanged (decision 5)
}
ELSEWHERE: Final[Mapping[str, str]] = {  # of other platforms and versions of Python: looked up by hand
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
}
_BY_WORDS: Final[Mapping[str, str]] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
_BY_FILE: Final = (
    ("Apache License", "Version 2.0", "Apache-2.0"),
    ("Permission is hereby granted, free of charge", "WITHOUT WARRANTY", "MIT"),
    ("Redistribution and use in source and binary forms", "Neither the name", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "", "BSD-2-Clause"),
)
_WORD: Final = re.compile(r"\(|\)|[^\s()]+")


class NoLicenceError(Exception):
    """A package does not say under what licence it is."""


def licence_of(package: Package) -> str | None:
    """The SPDX expression; ``None`` for a package that is not installed here. Raises NoLicenceError."""
    if package.name in ELSEWHERE:
        return ELSEWHERE[package.name]
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        return None
    licence = next(_said(found), None)
    if licence is None:
        raise NoLicenceError(f"{package.name} {package.version} does not say under what licence it is")
    return licence


def _said(found: Distribution) -> Iterator[str]:
    """What the metadata and the files say, the most exact first."""
    if expression := _field(found, "License-Expression"):
        yield expression
    if (word := _field(found, "License").strip()) and "\n" not in word:
        known = _BY_WORDS.get(word.lower(), word)
        if known in ALLOWED or known.lower() != word.lower() or " " in word:
            yield known
    classifiers = (line.rpartition(" :: ") for line in found.metadata.get_all("Classifier", []))
    if words := [last for kind, _, last in classifiers if kind.startswith("License") and last.lower() in _BY_WORDS]:
        yield " AND ".join(_BY_WORDS[word.lower()] for word in words)
    yield from _by_files(found)


def _field(found: Distribution, name: str) -> str:
    return next(iter(found.metadata.get_all(name) or ()), "")


def _by_files(found: Distribution) -> Iterator[str]:
    for file in found.files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            text = file.read_text(encoding="utf-8")
            yield from (spdx for head, further, spdx in _BY_FILE if head in text and further in text)


def is_allowed(expression: str, allowed: frozenset[str] = ALLOWED) -> bool:
    """Whether an SPDX expression can be met by licences that are allowed. Raises ValueError for none."""
    words = _WORD.findall(expression)
    met, rest = _either(words, allowed)
    if rest or not words:
        raise ValueError(f"{expression!r} is no SPDX expression")
    return met


def _either(words: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    met, words = _both(words, allowed)
    while words and words[0].upper() == "OR":
        other, words = _both(words[1:], allowed)
        met = met or other
    return met, words


def _both(words: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    met, words = _one(words, allowed)
    while words and words[0].upper() == "AND":
        other, words = _one(words[1:], allowed)
        met = met and other
    return met, words


def _one(words: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    if not words or words[0] == ")" or words[0].upper() in {"AND", "OR"}:
        raise ValueError("an SPDX expression ends too early")
    if words[0] == "(":
        met, rest = _either(words[1:], allowed)
        if rest[:1] != [")"]:
            raise ValueError("an SPDX expression lacks a bracket")
        return met, rest[1:]
    if words[1:2] == ["WITH"]:  # an exception gives more, never less
        return words[0] in allowed, words[3:]
    return words[0] in allowed, words[1:]


def refusals(packages: Iterable[Package]) -> Iterator[str]:
    """What is wrong, a sentence each."""
    for package in packages:
        try:
            licence = licence_of(package)
            mine = ALLOWED | ({EXCEPTIONS[package.name]} if package.name in EXCEPTIONS else set())
            if licence is not None and not is_allowed(licence, mine):
                yield f"{package.name} {package.version} is under {licence}, which is not on the list"
        except (NoLicenceError, ValueError) as problem:
            yield f"{package.name} {package.version}: {problem}"


def main() -> int:
    """1 where a licence is not allowed, or a package of the runtime is not there to be looked at."""
    runtime, further = locked("run"), extras()
    problems = [*refusals(runtime), *refusals(further)]
    problems += [f"{one.name} is not installed" for one in runtime if licence_of(one) is None]
    problems += [f"{one.name} is under {one.licence}" for one in vendored() if not is_allowed(one.licence)]
    unseen = [one.name for one in further if licence_of(one) is None]
    for problem in problems:
        print(problem, file=sys.stderr)
    if unseen:
        print(f"Not installed here, and not looked at (of extras): {', '.join(unseen)}.", file=sys.stderr)
    print(f"{len(runtime)} packages of the runtime, {len(further) - len(unseen)} of extras: {len(problems)} problems.")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
