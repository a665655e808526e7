"""GraphiQL and the files that it is made of."""

import hashlib
import json
import re

import pytest

from llm_service.api.graphql.playground import FILES, PAGE, STATIC, VENDORED

OWN = [PAGE, STATIC / "page.js", STATIC / "page.css", STATIC / "examples.js"]


def test_the_page_names_its_own_files_and_nothing_elsewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert set(named) == {"data:,"} | {f"/graphql/{name}" for name in FILES}
    assert not re.search(r"<script(?! src=)|<style|style=|\son\w+=", page)
    assert not any("//" in re.sub(r"// .*", "", path.read_text(encoding="utf-8")) for path in OWN)


def test_vendored_files_are_the_ones_of_their_manifest() -> None:
    manifest = json.loads((VENDORED / "manifest.json").read_bytes())
    found = {path.name: path.read_bytes() for path in VENDORED.iterdir() if path.name != "manifest.json"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == {
        name: file["sha256"] for name, file in manifest["files"].items()
    }


def test_vendored_files_come_with_their_licences() -> None:
    licences = {path.name: path.read_text(encoding="utf-8") for path in VENDORED.glob("LICENSE*")}
    assert licences.keys() == {"LICENSE", "LICENSE.react"}
    assert all("Permission is hereby granted, free of charge" in text for text in licences.values())


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there(name: str) -> None:
    assert FILES[name][0].is_file()
