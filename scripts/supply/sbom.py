"""A software bill of materials, CycloneDX 1.6, of the runtime: the same bytes from the same source.

Format: cyclonedx.org, specification 1.6. Hashes are those of the lock, of every file that may be installed.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from scripts.supply.licences import licence_of
from scripts.supply.packages import Package, Vendored, extras, locked, vendored

from llm_service import __version__

NAME: Final = "llm-service"
Json = dict[str, Any]


def bill(*, moment: datetime | None = None) -> Json:
    """The whole bill. ``moment``: when it is made, left out where it is not given."""
    runtime, further, inside = locked("run"), extras(), list(vendored())
    components = [_component(one, scope="required") for one in runtime]
    components += [_component(one, scope="optional") for one in further]
    components += [_vendored(one) for one in inside]
    components.sort(key=lambda one: one["bom-ref"])
    about: Json = {"component": _root()}
    if moment is not None:
        about["timestamp"] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content: Json = {
        "metadata": about,
        "components": components,
        "dependencies": _dependencies([*runtime, *further], inside),
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(content, sort_keys=True))}",
        "version": 1,
        **content,
    }


def purl(kind: str, name: str, version: str) -> str:
    """The package's URL, as github.com/package-url says."""
    return f"pkg:{kind}/{quote(name, safe='')}@{quote(version, safe='')}"


def _root() -> Json:
    ref = purl("pypi", NAME, __version__)
    return {
        "type": "application",
        "bom-ref": ref,
        "name": NAME,
        "version": __version__,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": ref,
    }


def _component(package: Package, *, scope: str) -> Json:
    ref = purl("pypi", package.name, package.version)
    made: Json = {
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "scope": scope,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
    }
    if licence := licence_of(package):
        made["licenses"] = _licences(licence)
    made["purl"] = ref
    if package.marker:
        made["properties"] = [{"name": f"{NAME}:marker", "value": package.marker}]
    return made


def _vendored(one: Vendored) -> Json:
    """What lies in our own package: its files are parts of it, each with its digest."""
    ref = purl(one.source.lower(), one.name, one.version)
    return {
        "type": "library",
        "bom-ref": f"{ref}#vendored",
        "name": one.name,
        "version": one.version,
        "scope": "required",
        "licenses": _licences(one.licence),
        "purl": ref,
        "components": [
            {
                "type": "file",
                "bom-ref": f"{ref}#{path}",
                "name": path,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for path, digest in sorted(one.digests.items())
        ],
    }


def _licences(expression: str) -> list[Json]:
    return [{"expression": expression}] if " " in expression else [{"license": {"id": expression}}]


def _dependencies(packages: Sequence[Package], inside: Iterable[Vendored]) -> list[Json]:
    """Who needs whom, by the lock's own remarks; extras are needed by the project."""
    refs = dict[str, list[str]]()
    for package in packages:
        refs.setdefault(package.name, []).append(purl("pypi", package.name, package.version))
    root = purl("pypi", NAME, __version__)
    needs: dict[str, set[str]] = {
        root: {f"{purl(one.source.lower(), one.name, one.version)}#vendored" for one in inside}
    }
    for package in packages:
        own = purl("pypi", package.name, package.version)
        needs.setdefault(own, set())
        known = [ref for name in package.wanted_by for ref in refs.get(name, [root] if name == NAME else [])]
        for ref in known or [root]:
            needs.setdefault(ref, set()).add(own)
    return [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)]


def main(arguments: Sequence[str]) -> int:
    """Writes to the file that is named, or to standard output. SOURCE_DATE_EPOCH gives the time that stands in it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    text = json.dumps(bill(moment=moment), indent=2) + "\n"
    if arguments:
        Path(arguments[0]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
