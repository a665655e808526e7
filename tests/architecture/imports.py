"""Rules about imports: down the floor plan, through the front door, without circles, on top of the file."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.architecture.plan import HEAVY_LIBRARIES, MAY_IMPORT_LATE, PACKAGE, may_import, rooms
from tests.architecture.source import Import, Module, Package, exports


def unknown_rooms(package: Package) -> Iterator[str]:
    for room in sorted({module.room for module in package.values()} - rooms() - {""}):
        yield f"{PACKAGE}/{room} has no place in the floor plan"


def wrong_arrows(package: Package) -> Iterator[str]:
    """Imports that do not point down, those under ``TYPE_CHECKING`` and inside functions included."""
    for module, imported in _across_rooms(package):
        if imported.room not in rooms() or module.room not in rooms():
            continue  # reported by unknown_rooms
        if not may_import(module.room, imported.room):
            yield module.at(imported.line, f"{module.room} may not import {imported.room}")


def side_doors(package: Package) -> Iterator[str]:
    """Imports from another room that do not go through what its ``__init__`` exports."""
    for module, imported in _across_rooms(package):
        door = f"{PACKAGE}.{imported.room}"
        if imported.module == PACKAGE and imported.name is not None:
            for name, line in _asked_of(module, imported.bound):
                if name not in exports(package, imported.name):
                    yield module.at(line, f"{door} does not export {name}")
        elif imported.module != door or imported.name is None:
            yield module.at(imported.line, f"write: from {door} import <what it exports>, not {imported.module}")
        elif imported.name not in exports(package, str(imported.room)):
            yield module.at(imported.line, f"{door} does not export {imported.name}")


def relative_imports(package: Package) -> Iterator[str]:
    for module in package.values():
        for imported in module.imports:
            if imported.module.startswith("."):
                yield module.at(imported.line, f"an import names its module in full, not {imported.module}")


def late_imports(package: Package) -> Iterator[str]:
    """Imports inside functions, but of the heavy libraries, and of modules of ours that bring one along."""
    heavy = _heavy(package)
    for module in package.values():
        if module.room in MAY_IMPORT_LATE:
            continue
        for imported in module.imports:
            late = imported.inside_function and imported.library not in HEAVY_LIBRARIES
            if late and _target(package, imported) not in heavy:
                yield module.at(imported.line, f"import {imported.module} at the top of the file")


def heavy_doors(package: Package) -> Iterator[str]:
    """Rooms that bring a heavy library along, for whoever imports anything of them."""
    for room in sorted(rooms() & _heavy(package)):
        yield f"{PACKAGE}/{room} imports one of the heavy libraries, by itself or through others"


def circles(package: Package) -> Iterator[str]:
    """The first circle of modules that import each other, wherever the imports stand.

    What the package itself offers is imported when somebody outside asks for it.
    """
    graph = {name: set(_targets(package, module)) for name, module in package.items() if name != ""}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "a circle: " + " -> ".join(reversed(error.args[1]))


def _across_rooms(package: Package) -> Iterator[tuple[Module, Import]]:
    for module in package.values():
        for imported in module.imports:
            if imported.room is not None and imported.room != module.room:
                yield module, imported


def _asked_of(module: Module, name: str) -> Iterator[tuple[str, int]]:
    """Attributes that the module takes from a name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            yield node.attr, node.lineno


def _targets(package: Package, module: Module) -> Iterator[str]:
    for imported in module.imports:
        if (target := _target(package, imported)) is not None:
            yield target


def _target(package: Package, imported: Import) -> str | None:
    """The module of ours that an import names."""
    if imported.library != PACKAGE:
        return None
    target = imported.module.removeprefix(PACKAGE).removeprefix(".")
    submodule = f"{target}.{imported.name}".removeprefix(".")
    target = submodule if submodule in package else target
    return target if target in package else None


def _heavy(package: Package) -> frozenset[str]:
    """Modules that import a heavy library on top of the file, or a module that does."""
    above = {name: [one for one in module.imports if not one.inside_function] for name, module in package.items()}
    heavy = {name for name, found in above.items() if any(one.library in HEAVY_LIBRARIES for one in found)}
    while more := {
        name for name, found in above.items() if name not in heavy and {_target(package, one) for one in found} & heavy
    }:
        heavy |= more
    return frozenset(heavy)
