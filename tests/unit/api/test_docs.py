"""The docs page and the files it is made of."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from llm_service.api.rest.docs import FILES, PAGE, STATIC
from tests.support.control import ADMIN_KEY, client_of, parts_of

VENDORED = STATIC / "swagger-ui"
OWN = [PAGE, STATIC / "docs.js", STATIC / "docs.css"]


def policy(header: str) -> dict[str, list[str]]:
    directives = (directive.split() for directive in header.split(";"))
    return {name: sources for name, *sources in directives}


async def test_the_page_comes_as_html() -> None:
    response = await client_of(parts_of()).get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == PAGE.read_bytes()


@pytest.mark.parametrize("name", FILES)
async def test_each_file_of_the_page_comes_with_its_type(name: str) -> None:
    path, media_type = FILES[name]
    response = await client_of(parts_of()).get(f"/docs/{name}")
    assert response.content == path.read_bytes()
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"


async def test_a_copy_that_is_still_good_is_not_sent_again() -> None:
    client = client_of(parts_of())
    first = await client.get("/docs/docs.js")
    again = await client.get("/docs/docs.js", headers={"If-None-Match": first.headers["etag"]})
    other = await client.get("/docs/docs.js", headers={"If-None-Match": '"other"'})
    assert [(answer.status_code, len(answer.content)) for answer in (again, other)] == [
        (304, 0),
        (200, len(first.content)),
    ]


@pytest.mark.parametrize("wanted", ["bytes=0-3", "bytes=9999999-", "bytes=x", "lines=1"])
async def test_a_file_comes_whole_whatever_part_is_wanted(wanted: str) -> None:
    answer = await client_of(parts_of()).get("/docs/docs.js", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, FILES["docs.js"][0].read_bytes())


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js"])
async def test_nothing_of_the_page_may_come_from_elsewhere_or_be_guessed(path: str) -> None:
    headers = (await client_of(parts_of()).get(path)).headers
    directives = policy(headers["content-security-policy"])
    assert directives.pop("default-src") == ["'none'"]
    assert {source for sources in directives.values() for source in sources} == {"'self'", "'none'", "data:"}
    assert directives["script-src"] == ["'self'"]


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "docs.html",
        "swagger-ui/swagger-ui.css",
        "..%2fdocs.py",
        "%2e%2e/docs.py",
        "../docs.py",
        "DOCS.JS",
    ],
)
async def test_no_other_file_can_be_had(name: str) -> None:
    response = await client_of(parts_of()).get(f"/docs/{name}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_the_page_names_its_own_files_and_nothing_elsewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert set(named) == {"data:,", "/openapi.json"} | {f"/docs/{name}" for name in FILES}
    assert not re.search(r"<script(?! src=)|<style|style=|\son\w+=", page)
    assert not any("//" in re.sub(r"// .*", "", path.read_text(encoding="utf-8")) for path in OWN)


def test_vendored_files_are_the_ones_of_their_manifest() -> None:
    manifest = json.loads((VENDORED / "manifest.json").read_bytes())
    found = {path.name: checksum(path) for path in VENDORED.iterdir() if path.name != "manifest.json"}
    assert found == {name: file["sha256"] for name, file in manifest["files"].items()}


def test_vendored_files_come_with_their_licences() -> None:
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= {path.name for path in VENDORED.iterdir()}


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_the_root_says_who_answers_and_where_to_go_on() -> None:
    body = (await client_of(parts_of()).get("/")).json()
    assert (body["name"], body["version"]) == ("llm-service", "1.2.3")


async def test_every_link_of_the_root_leads_somewhere() -> None:
    client = client_of(parts_of())
    links = (await client.get("/")).json()["links"]
    assert [(await client.get(link)).status_code for link in links.values()] == [200] * len(links)


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/docs.js", "/openapi.json"])
async def test_the_description_follows_the_rules_for_keys(path: str) -> None:
    client = client_of(parts_of(), keyless=False)
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers={"x-api-key": ADMIN_KEY})).status_code == 200
