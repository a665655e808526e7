"""Rules about what a module may hold and fetch: no state of its own, no clock, no chance, no environment."""

import ast
from collections.abc import Iterator

from tests.architecture.plan import FETCHED, MAY_FETCH
from tests.architecture.source import Module, Package, bound_names

_CONTAINERS = (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set, ast.SetComp)
_MAKERS = frozenset(
    """Counter OrderedDict WeakKeyDictionary WeakSet WeakValueDictionary bytearray defaultdict deque dict list
    set""".split()
)
_READ_ONLY = frozenset("AbstractSet Collection Container Final Iterable Mapping Sequence TypeAlias".split())
_MUTATORS = frozenset(
    """add append appendleft clear difference_update discard extend insert intersection_update pop popitem popleft
    remove reverse setdefault sort symmetric_difference_update update""".split()
)


def mutable_globals(package: Package) -> Iterator[str]:
    """Containers that are not constants: in capitals, and annotated so that the type checker refuses a change."""
    for module in package.values():
        for node, name, value in _variables(module):
            if name.startswith("__") or not _is_container(value):
                continue
            if name != name.upper() or not _is_read_only(node):
                yield module.at(
                    node.lineno,
                    f"{name} can be changed: freeze it, or name it in capitals and annotate it Final or Mapping",
                )


def variables(package: Package) -> Iterator[str]:
    """Names in small letters that a module binds to what it has made: objects belong to whoever is given them."""
    for module in package.values():
        for node, name, value in _variables(module):
            small = name == name.lower() and not name.startswith("__")
            if small and isinstance(value, ast.Call) and not _is_read_only(node) and module.room != "cli":
                yield module.at(
                    node.lineno, f"{name} is a module's variable: make it where it is used, or annotate it Final"
                )


def changed_globals(package: Package) -> Iterator[str]:
    """Statements that change what a module holds, and the word ``global``."""
    for module in package.values():
        names = {name for statement in module.tree.body for name in bound_names(statement)} - {"__all__"}
        for function in _functions(module.tree):
            local = _local_names(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Global):
                    yield module.at(node.lineno, f"global {', '.join(node.names)}")
                elif (changed := _changed(node)) in names - local:
                    yield module.at(node.lineno, f"{changed} of the module is changed")


def fetched(package: Package) -> Iterator[str]:
    """Time, chance and environment that a room takes instead of being given them."""
    for module in package.values():
        if module.room in MAY_FETCH:
            continue
        origins = _origins(module)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
                name = _full_name(node, origins)
                if name and _is_fetched(name):
                    yield module.at(node.lineno, f"{name} is fetched: let it be given")
            elif isinstance(node, ast.Call) and not node.args and _full_name(node.func, origins) == "random.Random":
                yield module.at(node.lineno, "random.Random() seeds itself: let it be given")


def _variables(module: Module) -> Iterator[tuple[ast.Assign | ast.AnnAssign, str, ast.expr]]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for name in sorted(bound_names(node)):
                yield node, name, node.value


def _is_container(value: ast.expr) -> bool:
    return isinstance(value, _CONTAINERS) or (isinstance(value, ast.Call) and _last_name(value.func) in _MAKERS)


def _is_read_only(node: ast.Assign | ast.AnnAssign) -> bool:
    if not isinstance(node, ast.AnnAssign):
        return False
    outermost = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    return _last_name(outermost) in _READ_ONLY


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(value=value):
            return _last_name(value)
    return ""


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    return names | {
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _changed(node: ast.AST) -> str | None:
    """The name whose object this statement or call changes."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _MUTATORS:
            return name
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
    return None


def _origins(module: Module) -> dict[str, str]:
    """Names in this module -> what they were imported from, in full."""
    origins = dict[str, str]()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                origins |= {alias.asname: alias.name} if alias.asname else {first: first}
        elif isinstance(node, ast.ImportFrom) and node.module:
            origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return origins


def _full_name(node: ast.expr, origins: dict[str, str]) -> str | None:
    match node:
        case ast.Name(id=name):
            return origins.get(name)
        case ast.Attribute(value=value, attr=attribute):
            owner = _full_name(value, origins)
            return owner and f"{owner}.{attribute}"
    return None


def _is_fetched(name: str) -> bool:
    owner, _, attribute = name.rpartition(".")
    return owner in FETCHED and ((names := FETCHED[owner]) is None or attribute in names)
