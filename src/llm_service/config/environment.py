"""Settings from environment variables: `LLM_SERVICE_` and the path joined by `__`, and a few names in common use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_service.config.json_text import NotJson, read_json
from llm_service.config.later import is_later, nearest
from llm_service.config.mistake import Mistake, Place, Source, shown
from llm_service.config.node import Fields, Node, Scalar, nest, overlay
from llm_service.config.shape import Group, Leaf, ListOf, MapOf, Shape, walk

PREFIX = "LLM_SERVICE_"
CONFIG_VARIABLE = "LLM_SERVICE_CONFIG"
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "OPENROUTER_API_KEY": ("providers", "openrouter", "api_key"),
    "OPENROUTER_BASE_URL": ("providers", "openrouter", "base_url"),
    "DEEPSEEK_API_KEY": ("providers", "deepseek", "api_key"),
    "DEEPSEEK_BASE_URL": ("providers", "deepseek", "base_url"),
}

_NOT_SETTINGS = re.compile(r"LLM_SERVICE_(?:CONFIG|KEY|VENV_DIR|TEST_.*)")  # KEY: what the client commands present
# What Kubernetes sets in every pod beside a Service named llm-service: its own contract names ...
_KUBERNETES = re.compile(r"LLM_SERVICE_(?:SERVICE_.*|PORT|PORT_.*)")
# ... and, beside one named llm-service-<something>, that one's: told from a misspelt setting by form and value.
_NEIGHBOUR = re.compile(
    r"LLM_SERVICE_[A-Z0-9_]+_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP).*)"
)
_NEIGHBOUR_PORT = re.compile(r"LLM_SERVICE_[A-Z0-9_]+_PORT")
_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.*")


@dataclass(slots=True)
class Environment:
    """What the variables give, and what is wrong with them."""

    node: Node
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_environment(environ: Mapping[str, str], *, tree: Group, file: Node, cwd: Path) -> Environment:
    """All settings in the environment; `file` tells how names of the operator's own are spelt.

    A longer name wins over a shorter one that holds it as JSON, and both over the usual names.
    """
    result = Environment(Fields({}, Place(Source("environment", cwd))))
    for name, keys in USUAL_NAMES.items():
        if name in environ:
            _take(result, environ[name], keys=keys, shape=Leaf(str), source=Source(name, cwd))
    if not _ADDRESS.fullmatch(environ.get("LLM_SERVICE_PORT", "tcp://")):
        result.notes.append(f"LLM_SERVICE_PORT is Kubernetes' and ignored: the port is {variable('server.port')}")
    ours = (name for name in environ if name.startswith(PREFIX) and not is_ignored(name, environ[name]))
    for name in sorted(ours, key=lambda name: (name.count("__"), name)):
        way = _way(name.removeprefix(PREFIX).split("__"), tree, file)
        if way.complete:
            _take(result, environ[name], keys=way.keys, shape=way.shape, source=Source(name, cwd))
        else:
            message = _unknown(name, way=way, tree=tree)
            result.mistakes.append(Mistake.at(Place(Source(shown(name), cwd)), message))
    return result


def is_ignored(name: str, value: str) -> bool:
    """Whether a variable with our prefix is none of ours, or is read elsewhere."""
    if _NOT_SETTINGS.fullmatch(name) or _KUBERNETES.fullmatch(name) or _NEIGHBOUR.fullmatch(name):
        return True
    return bool(_NEIGHBOUR_PORT.fullmatch(name) and _ADDRESS.fullmatch(value))


def variable(path: str) -> str:
    """The variable of a setting's path, as docs and messages name it; `*` becomes `<NAME>`."""
    return PREFIX + path.replace("*", "<name>").replace(".", "__").upper()


def _take(result: Environment, text: str, *, keys: tuple[str, ...], shape: Shape, source: Source) -> None:
    place = Place(source)
    if not text:
        result.mistakes.append(Mistake.at(place, "is set but empty: give it a value or unset it"))
        return
    try:
        node = Scalar(text, place) if _is_single(shape, text) else read_json(text, place)
    except NotJson as problem:
        wanted = "a JSON map" if isinstance(shape, (Group, MapOf)) else "a JSON list"
        result.mistakes.append(Mistake.at(place, f"must be {wanted}, but {problem}"))
        return
    result.node = overlay(result.node, nest(keys, node))


def _is_single(shape: Shape, text: str) -> bool:
    """Whether the text is a value as it stands; a list that may be a single value is told by its bracket."""
    return isinstance(shape, Leaf) or (
        isinstance(shape, ListOf) and shape.or_single and not text.lstrip().startswith("[")
    )


@dataclass(slots=True)
class _Way:
    """How far a variable's name leads into the tree."""

    shape: Shape
    keys: tuple[str, ...] = ()
    complete: bool = True


def _way(segments: list[str], tree: Group, file: Node) -> _Way:
    way, spelt = _Way(tree), file
    for segment in segments:
        if isinstance(way.shape, Group) and segment.lower() in way.shape.settings:
            key, way.shape = segment.lower(), way.shape.settings[segment.lower()].shape
        elif isinstance(way.shape, MapOf) and segment:
            key, way.shape = _spelling(segment, spelt), way.shape.value
        else:
            way.complete = False
            break
        way.keys += (key,)
        spelt = (
            spelt.entries[key].value if isinstance(spelt, Fields) and key in spelt.entries else Fields({}, spelt.place)
        )
    return way


def _spelling(segment: str, spelt: Node) -> str:
    """The file's own name that a part of a variable's name stands for (MY_VLLM for my-vllm), else it in lower case."""
    names = spelt.entries if isinstance(spelt, Fields) else ()
    return next((name for name in names if re.sub(r"[^A-Z0-9]", "_", name.upper()) == segment), segment.lower())


def _unknown(name: str, *, way: _Way, tree: Group) -> str:
    rest = name.removeprefix(PREFIX)
    segments = rest.split("__")
    if is_later([segment.lower() for segment in segments]):
        return "is not available in this version"
    known = [variable(path).removeprefix(PREFIX) for path, _ in walk(tree) if "*" not in path]
    if isinstance(way.shape, Group):
        here = segments[: len(way.keys)]
        known += ["__".join((*here, setting.upper())) for setting in way.shape.settings]
    near = nearest(rest, known)
    return f"is unknown; did you mean {PREFIX}{near}?" if near else "is unknown"
