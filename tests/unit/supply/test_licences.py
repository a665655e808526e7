"""Every package of the runtime may be passed on by anybody, and the check can say no."""

from collections.abc import Mapping
from email.message import Message

import pytest
from scripts.supply import licences
from scripts.supply.licences import ELSEWHERE, is_allowed, licence_of, refusals
from scripts.supply.packages import Package, extras, locked, vendored

RUNTIME = locked("run")


def a_package(name: str = "some") -> Package:
    return Package(name=name, version="1", hashes=(), wanted_by=())


class Installed:
    """A package as its metadata and files describe it."""

    def __init__(self, fields: Mapping[str, str], *files: str) -> None:
        self.metadata = Message()
        for name, value in fields.items():
            self.metadata[name] = value
        self.files = [File(text) for text in files]


class File:
    name = "LICENSE"

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, encoding: str) -> str:
        return self._text


def test_every_package_has_a_licence_that_is_on_the_list() -> None:
    assert list(refusals([*RUNTIME, *extras()])) == []
    assert [one.name for one in vendored() if not is_allowed(one.licence)] == []


def test_every_package_of_the_runtime_is_looked_at() -> None:
    assert [one.name for one in RUNTIME if licence_of(one) is None] == []
    assert {one.name for one in RUNTIME if one.marker and "win32" not in one.marker} >= ELSEWHERE.keys() - {"colorama"}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("(GPL-2.0-only OR MPL-2.0) AND MIT", False),
        ("MIT OR GPL-2.0-only AND LGPL-3.0-only", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Proprietary", False),
    ],
)
def test_an_expression_is_met_by_the_list_or_not(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize("expression", ["", "MIT AND", "(MIT", "MIT)", "OR MIT", "MIT Apache-2.0"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="SPDX"):
        is_allowed(expression)


@pytest.mark.parametrize(
    ("installed", "licence"),
    [
        (Installed({"License-Expression": "MIT", "License": "GPL"}), "MIT"),
        (Installed({"License": "Apache 2.0"}), "Apache-2.0"),
        (Installed({"License": "GPLv3 or later"}), "GPLv3 or later"),
        (Installed({"Classifier": "License :: OSI Approved :: BSD License"}), "BSD-3-Clause"),
        (Installed({}, "Permission is hereby granted, free of charge ... WITHOUT WARRANTY OF ANY KIND"), "MIT"),
    ],
)
def test_a_licence_is_read_where_a_package_says_it(
    installed: Installed, licence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(licences, "distribution", lambda name: installed)
    assert licence_of(a_package()) == licence


@pytest.mark.parametrize(
    "installed",
    [
        Installed({}),
        Installed({"License-Expression": "AGPL-3.0-only"}),
        Installed({"License": "GPLv3 or later"}),
        Installed({}, "GNU GENERAL PUBLIC LICENSE"),
        Installed({"License": "MPL-2.0"}),
    ],
)
def test_a_package_without_an_allowed_licence_is_named(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "distribution", lambda name: installed)
    (problem,) = refusals([a_package("some")])
    assert problem.startswith("some 1")
