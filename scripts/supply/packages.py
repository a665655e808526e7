"""The packages that lock files pin, and the files of others that lie in the source."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT: Final = Path(__file__).parents[2]
_ENTRY: Final = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA: Final = re.compile(r"^ +# (?:via )?(?:  )?([A-Za-z0-9][\w.-]*)( \(pyproject\.toml[^)]*\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One pin. ``hashes``: SHA-256 of each of its files. ``wanted_by``: who asks for it, the project by its name."""

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendored:
    """A package of others of which files lie in the source, unchanged. ``digests``: SHA-256 by the file's path."""

    name: str
    version: str
    source: str
    licence: str
    digests: Mapping[str, str]


def locked(layer: str) -> Sequence[Package]:
    """The pins of ``requirements/LAYER.lock`` in its order; those of a package in several versions are several."""
    text = (CHECKOUT / "requirements" / f"{layer}.lock").read_text(encoding="utf-8")
    return [_package(entry) for entry in _ENTRY.split(text)[1:]]


def _package(entry: str) -> Package:
    pin = Requirement(entry.partition("\\\n")[0])
    (version,) = pin.specifier
    return Package(
        name=canonicalize_name(pin.name),
        version=version.version,
        hashes=tuple(sorted(_HASH.findall(entry))),
        wanted_by=tuple(name for name, _ in _VIA.findall(entry) if name != "via"),
        marker=str(pin.marker or ""),
    )


def extras() -> Sequence[Package]:
    """What the extras add to the runtime, by whichever lock pins it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(one) for group in project["optional-dependencies"].values() for one in group]
    pinned = {(package.name, package.version): package for layer in ("test", "semantic") for package in locked(layer)}
    names, further = {package.name for package in locked("run")}, set[str]()
    waiting: list[str] = [canonicalize_name(one.name) for one in asked]
    while waiting:
        name = waiting.pop()
        if name not in names | further:
            further.add(name)
            waiting += [other.name for other in pinned.values() if name in other.wanted_by]
    return [pinned[key] for key in sorted(pinned) if key[0] in further]


def vendored() -> Iterator[Vendored]:
    """What the manifests beside files of others say."""
    for path in sorted((CHECKOUT / "src").rglob("manifest.json")):
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        folder = path.parent.relative_to(CHECKOUT)
        digests = {str(folder / name): file["sha256"] for name, file in manifest["files"].items()}
        versions = manifest.get("packages") or {manifest["package"]: manifest["version"]}
        for name, version in versions.items():
            yield Vendored(
                name=name, version=version, source=manifest["source"], licence=manifest["license"], digests=digests
            )
