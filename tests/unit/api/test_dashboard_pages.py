"""The dashboard's page and the files it is made of."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from llm_service.api.dashboard.pages import FILES, PAGE, STATIC, VENDORED
from llm_service.api.rest.routes import HOT_ROUTES
from tests.support.control import client_of, parts_of

OWN = [PAGE, *(path for path, _ in FILES.values() if path.parent == STATIC)]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]


async def test_the_page_comes_as_html_to_everybody() -> None:
    answer = await client_of(parts_of(), keyless=False).get("/dashboard")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == PAGE.read_bytes()


@pytest.mark.parametrize("name", FILES)
async def test_each_file_comes_with_its_type_and_is_not_sent_twice(name: str) -> None:
    client = client_of(parts_of(), keyless=False)
    path, media_type = FILES[name]
    first = await client.get(f"/dashboard/{name}")
    again = await client.get(f"/dashboard/{name}", headers={"if-none-match": first.headers["etag"]})
    assert (first.content, first.headers["content-type"].partition(";")[0]) == (path.read_bytes(), media_type)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/app.js", "/dashboard/dashboard.css", "/dashboard/icon.svg"])
async def test_nothing_comes_from_elsewhere_and_nobody_frames_it(path: str) -> None:
    headers = (await client_of(parts_of()).get(path)).headers
    policy = {
        name: sources for name, *sources in (part.split() for part in headers["content-security-policy"].split(";"))
    }
    assert policy == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "name", ["manifest.json", "dashboard.html", "uplot/LICENSE", "..%2fpages.py", "APP.JS", "x.js"]
)
async def test_no_other_file_can_be_had(name: str) -> None:
    assert (await client_of(parts_of()).get(f"/dashboard/{name}")).status_code == 404


def test_every_file_is_served_and_every_import_is_one_of_them() -> None:
    assert {path.name for path in STATIC.iterdir() if path.is_file()} == {path.name for path in OWN}
    imported = {name for path in SCRIPTS for name in re.findall(r'from "\./([\w.]+)"', path.read_text("utf-8"))}
    assert imported <= FILES.keys()
    loaded = {path.name for path in SCRIPTS} - imported
    assert loaded == {"app.js", "theme.js"}


def test_the_page_names_its_own_files_and_has_nothing_inline() -> None:
    page = PAGE.read_text("utf-8")
    assert set(re.findall(r'(?:src|href)="/dashboard/([^"]*)"', page)) <= FILES.keys()
    assert not re.search(r"<script(?! src=)|<style|style=|\son\w+=", page)


def test_no_file_names_another_host_or_reads_text_as_markup() -> None:
    for path in OWN:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|[\"'(]//", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )


def test_every_address_that_the_pages_ask_is_one_of_the_service() -> None:
    offered = {f"{route.method} {route.path.replace(':path', '')}" for route in parts_of().routes}
    offered |= {f"POST {path}" for path in HOT_ROUTES}
    asked = {
        found
        for path in SCRIPTS
        for found in re.findall(r'"((?:GET|POST|PATCH|DELETE) /[^"]*)"', path.read_text("utf-8"))
    }
    assert asked - offered == set()
    assert len(asked) > 20


def test_vendored_files_are_the_ones_of_their_manifest() -> None:
    manifest = json.loads((VENDORED / "manifest.json").read_bytes())
    found = {path.name: checksum(path) for path in VENDORED.iterdir() if path.name != "manifest.json"}
    assert found == {name: file["sha256"] for name, file in manifest["files"].items()}


def test_vendored_files_come_with_their_licence() -> None:
    assert "Permission is hereby granted, free of charge" in (VENDORED / "LICENSE").read_text("utf-8")


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
