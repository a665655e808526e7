"""The bill of materials names all that is installed, by what CycloneDX 1.6 asks for, and is the same each time."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scripts.supply.licences import is_allowed
from scripts.supply.packages import extras, locked, vendored
from scripts.supply.sbom import bill, main, purl

PURL = re.compile(r"pkg:(?:pypi|npm)/[a-z0-9.-]+@[0-9A-Za-z.]+")
REQUIRED = {"type", "name", "version", "bom-ref", "purl", "licenses"}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return bill()


def components(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [made["metadata"]["component"], *made["components"]]


def test_head_is_that_of_the_format(made: dict[str, Any]) -> None:
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made["serialNumber"]
    )
    assert made["metadata"]["component"]["type"] == "application"


def test_all_that_is_locked_or_lies_in_the_source_is_named(made: dict[str, Any]) -> None:
    named = {(one["name"], one["version"]) for one in made["components"]}
    locks = {(one.name, one.version) for one in (*locked("run"), *extras())}
    inside = {(one.name, one.version) for one in vendored()}
    assert named == locks | inside
    assert {"duckdb", "onnxruntime", "numpy", "swagger-ui-dist", "graphiql", "uplot"} <= {name for name, _ in named}
    optional = {one["name"] for one in made["components"] if one["scope"] == "optional"}
    assert optional == {one.name for one in extras()}


def test_every_component_has_what_the_format_asks_for(made: dict[str, Any]) -> None:
    for one in components(made):
        assert one.keys() >= REQUIRED - ({"licenses"} if one.get("scope") == "optional" else set()), one["name"]
        assert PURL.fullmatch(one["purl"])
        for licence in one.get("licenses", ()):
            expression = licence["expression"] if "expression" in licence else licence["license"]["id"]
            assert is_allowed(expression) or one["name"] == "orjson"
            assert ("expression" in licence) == (" " in expression)


def test_every_file_has_its_hash(made: dict[str, Any]) -> None:
    for one in made["components"]:
        files = one.get("components", [one])
        assert files
        for file in files:
            assert file["hashes"]
            assert all(hashed["alg"] == "SHA-256" for hashed in file["hashes"])
            assert all(re.fullmatch("[0-9a-f]{64}", hashed["content"]) for hashed in file["hashes"])


def test_references_are_unique_and_lead_somewhere(made: dict[str, Any]) -> None:
    refs = [one["bom-ref"] for one in components(made)]
    refs += [file["bom-ref"] for one in made["components"] for file in one.get("components", ())]
    assert len(refs) == len(set(refs))
    needs = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    assert len(needs) == len(made["dependencies"])
    assert needs.keys() | {ref for some in needs.values() for ref in some} <= set(refs)


def test_everything_is_reached_from_the_service(made: dict[str, Any]) -> None:
    needs = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    reached, waiting = set[str](), [made["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs.get(ref, ())
    assert reached == {one["bom-ref"] for one in components(made)}


def test_it_is_the_same_each_time_and_names_no_place(
    tmp_path: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert main([str(tmp_path / "a.json")]) == main([str(tmp_path / "b.json")]) == 0
    text = (tmp_path / "a.json").read_bytes()
    assert text == (tmp_path / "b.json").read_bytes()
    assert json.loads(text) == made
    assert re.findall(rb"\w+://[^\s\"]+", text) == [b"http://cyclonedx.org/schema/bom-1.6.schema.json"]


def test_time_is_given_or_left_out(made: dict[str, Any]) -> None:
    assert "timestamp" not in made["metadata"]
    assert bill(moment=datetime(2026, 11, 26, tzinfo=UTC))["metadata"]["timestamp"] == "2026-11-26T00:00:00Z"


def test_names_are_encoded_as_urls_want_them() -> None:
    assert purl("npm", "@scope/name", "1+2") == "pkg:npm/%40scope%2Fname@1%2B2"
