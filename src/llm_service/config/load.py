"""Settings from defaults < file < environment < command line, checked as a whole."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from llm_service.config.build import NOTHING, At, Builder
from llm_service.config.environment import CONFIG_VARIABLE, read_environment
from llm_service.config.file_text import Unreadable, read_text
from llm_service.config.mistake import Mistake, Place, SettingsError, Source
from llm_service.config.node import Fields, Node, Scalar, is_null, nest, overlay
from llm_service.config.render import rendered
from llm_service.config.rules import apply_rules
from llm_service.config.settings import Settings
from llm_service.config.shape import describe
from llm_service.config.yaml_file import read_yaml
from llm_service.domain import fact

FILE_NAME = "llm-service.yaml"
MAX_FILE_BYTES = 1024 * 1024


@fact
class Loaded:
    """Checked settings and where they come from."""

    settings: Settings
    source_path: Path | None
    """The configuration file, None when there is none."""
    fingerprint: str
    """Equal for equal settings; secrets do not enter it, so it may be shown."""
    provenance: Mapping[str, str]
    """Path of each setting that is not at its default: the file with line and column, the variable, or the option."""
    notes: tuple[str, ...]
    """What is no mistake, and still worth telling the operator."""


def load_settings(
    *, path: Path | None, environ: Mapping[str, str], cwd: Path, overrides: Mapping[str, str] | None = None
) -> Loaded:
    """Reads, joins and checks everything that is given; raises SettingsError with all mistakes at once.

    `path` is what `--config` names, `overrides` what other options give, by the path of the setting (`server.port`).
    """
    tree = describe(Settings)
    file = _find_file(path, environ=environ, cwd=cwd)
    environment = read_environment(environ, tree=tree, file=file.node, cwd=cwd)
    given = overlay(overlay(file.node, environment.node), _command_line(overrides or {}, cwd))

    builder = Builder(environ, mistakes=[*file.mistakes, *environment.mistakes])
    settings = builder.build(tree, given, At())
    notes = environment.notes
    if settings is not NOTHING and file.complete:
        ruled = apply_rules(settings, builder, from_file=file.path is not None)
        settings, notes = ruled.settings, [*notes, *ruled.notes]
        builder.mistakes += ruled.mistakes
    if builder.mistakes:
        raise SettingsError(tuple(sorted(builder.mistakes)))
    return Loaded(
        settings=settings,
        source_path=file.path,
        fingerprint=_fingerprint(settings),
        provenance=MappingProxyType({leaf: str(builder.places[leaf]) for leaf in builder.leaves}),
        notes=tuple(notes),
    )


@dataclass(slots=True)
class _File:
    """The configuration file as far as it could be read."""

    path: Path | None
    node: Node
    mistakes: list[Mistake] = field(default_factory=list)
    complete: bool = True


def _find_file(path: Path | None, *, environ: Mapping[str, str], cwd: Path) -> _File:
    """The file that is named, or the one of the usual name when it stands in the working directory."""
    if path is None and CONFIG_VARIABLE in environ:
        if not environ[CONFIG_VARIABLE]:
            place = Place(Source(CONFIG_VARIABLE, cwd))
            empty = Mistake.at(place, "is set but empty: give it the path of a file or unset it")
            return _File(None, Fields({}, place), [empty], complete=False)
        path = Path(environ[CONFIG_VARIABLE])
    if path is not None:
        return _read_file(cwd / path, name=str(path))
    usual = cwd / FILE_NAME
    if usual.exists() or usual.is_symlink():
        return _read_file(usual, name=FILE_NAME)
    return _File(None, Fields({}, Place(Source("defaults", cwd))))


def _read_file(path: Path, *, name: str) -> _File:
    source = Source(name, path.parent)
    result = _File(path, Fields({}, Place(source)))
    try:
        node, result.mistakes = read_yaml(read_text(path, max_bytes=MAX_FILE_BYTES), source)
    except Unreadable as problem:
        result.mistakes, result.complete = [Mistake.at(Place(source), str(problem))], False
    except SettingsError as error:
        result.mistakes, result.complete = list(error.mistakes), False
    else:
        if isinstance(node, Fields):
            result.node = node
        elif node is not None and not is_null(node):
            result.mistakes.append(Mistake.at(node.place, "the file must be a map of settings"))
    return result


def _command_line(overrides: Mapping[str, str], cwd: Path) -> Node:
    node: Node = Fields({}, Place(Source("command line", cwd)))
    for path, text in overrides.items():
        keys = path.split(".")
        place = Place(Source("--" + keys[-1].replace("_", "-"), cwd, expands=False))
        node = overlay(node, nest(keys, Scalar(text, place)))
    return node


def _fingerprint(settings: Settings) -> str:
    text = json.dumps(rendered(settings), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
