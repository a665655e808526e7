"""The package as syntax trees: modules, the rooms that they belong to, and what they import."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.architecture.plan import PACKAGE


@dataclass(frozen=True)
class Import:
    """``from module import name``; name is None for ``import module``. ``bound`` is what it is called here."""

    module: str
    name: str | None
    bound: str
    line: int
    inside_function: bool

    @property
    def room(self) -> str | None:
        """The room of ours that it reaches into; None for another library or for the package's own name."""
        first, *parts = self.module.split(".")
        if first != PACKAGE:
            return None
        if parts:
            return parts[0]
        return None if self.name is None or self.name.startswith("__") else self.name

    @property
    def library(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Module:
    name: str  # dotted, without the package's own name
    path: Path
    tree: ast.Module = field(repr=False)

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree, inside_function=False))

    def at(self, line: int, what: str) -> str:
        return f"{self.path}:{line}: {what}"


Package = Mapping[str, Module]


def read(folder: Path) -> Package:
    """Every module below ``folder`` by its name; an ``__init__`` goes by its folder's name, the outermost by ''."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(name, path, ast.parse(path.read_bytes(), str(path)))
    return modules


def exports(package: Package, room: str) -> frozenset[str]:
    """What the room's ``__init__`` gives: its ``__all__``, or else every name that it binds."""
    if room not in package:
        return frozenset()
    bound = set[str]()
    for node in package[room].tree.body:
        names = bound_names(node)
        if "__all__" in names and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            return frozenset(ast.literal_eval(node.value))
        bound |= names
    return frozenset(name for name in bound if not name.startswith("_"))


def bound_names(node: ast.stmt) -> set[str]:
    match node:
        case ast.ImportFrom(names=names):
            return {alias.asname or alias.name for alias in names}
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _imports(node: ast.AST, *, inside_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (
                Import(alias.name, None, alias.asname or alias.name, child.lineno, inside_function)
                for alias in child.names
            )
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            yield from (
                Import(module, alias.name, alias.asname or alias.name, child.lineno, inside_function)
                for alias in child.names
            )
        else:
            deeper = inside_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, inside_function=deeper)
