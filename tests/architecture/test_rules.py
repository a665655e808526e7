"""The house keeps its rules, and each rule catches a breach."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture import imports, state
from tests.architecture.source import Package, read

Rule = Callable[[Package], Iterator[str]]
Build = Callable[[Mapping[str, str]], Package]

SOURCE = Path(__file__).parents[2] / "src" / "llm_service"
RULES = (
    imports.unknown_rooms,
    imports.wrong_arrows,
    imports.side_doors,
    imports.relative_imports,
    imports.late_imports,
    imports.heavy_doors,
    imports.circles,
    state.mutable_globals,
    state.variables,
    state.changed_globals,
    state.fetched,
)


@pytest.fixture(scope="module")
def house() -> Package:
    return read(SOURCE)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Makes a small package from texts by path."""

    def build(files: Mapping[str, str]) -> Package:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return read(tmp_path)

    return build


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule, house: Package) -> None:
    breaches = "\n".join(rule(house))
    assert not breaches, f"\n{breaches}"


def test_the_house_is_not_empty(house: Package) -> None:
    assert "domain" in house


BREACHES = {
    "a room that the plan does not know": (imports.unknown_rooms, {"helpers/strings.py": ""}),
    "an arrow that points up": (imports.wrong_arrows, {"domain/a.py": "from llm_service.api import App"}),
    "an arrow between rooms of one floor": (
        imports.wrong_arrows,
        {"tokens/a.py": "from llm_service.transport import Port"},
    ),
    "an arrow that points up for the type checker alone": (
        imports.wrong_arrows,
        {"runtime/a.py": "import typing\nif typing.TYPE_CHECKING:\n    from llm_service.services import Gateway"},
    ),
    "an arrow that points up inside a function": (
        imports.wrong_arrows,
        {"domain/a.py": "def f():\n    from llm_service.runtime import Clock"},
    ),
    "an arrow that points up by the package's own name": (
        imports.wrong_arrows,
        {"domain/a.py": "from llm_service import api"},
    ),
    "the sandbox knowing the pipeline": (
        imports.wrong_arrows,
        {"sandbox/a.py": "from llm_service.pipeline import Stage"},
    ),
    "the composition knowing the sandbox": (
        imports.wrong_arrows,
        {"bootstrap.py": "from llm_service.sandbox import Sandbox"},
    ),
    "a module of another room": (
        imports.side_doors,
        {"domain/__init__.py": "", "domain/chat.py": "A = 1", "runtime/a.py": "from llm_service.domain.chat import A"},
    ),
    "a module of another room, imported as one": (
        imports.side_doors,
        {"runtime/a.py": "import llm_service.domain.chat"},
    ),
    "a name that another room does not export": (
        imports.side_doors,
        {
            "domain/__init__.py": "from llm_service.domain.chat import A, B\n__all__ = ['B']",
            "runtime/a.py": "from llm_service.domain import A",
        },
    ),
    "a name that another room does not export, by the room's name": (
        imports.side_doors,
        {"domain/__init__.py": "", "runtime/a.py": "from llm_service import domain\nA = domain.chat.A"},
    ),
    "a relative import": (imports.relative_imports, {"domain/a.py": "from .chat import A"}),
    "an import inside a function": (imports.late_imports, {"domain/a.py": "def f():\n    import json"}),
    "an import inside a method": (
        imports.late_imports,
        {"domain/a.py": "class A:\n    def f(self):\n        from json import loads"},
    ),
    "an import inside a function of a module that is not heavy": (
        imports.late_imports,
        {
            "domain/a.py": "def f():\n    from llm_service.domain.b import B",
            "domain/b.py": "def g():\n    import numpy",
        },
    ),
    "a room that brings a heavy library along": (
        imports.heavy_doors,
        {
            "domain/__init__.py": "from llm_service.domain.a import A",
            "domain/a.py": "from llm_service.domain.b import B",
            "domain/b.py": "import numpy",
        },
    ),
    "two modules that import each other": (
        imports.circles,
        {
            "domain/a.py": "from llm_service.domain.b import B",
            "domain/b.py": "def f():\n    from llm_service.domain.a import A",
        },
    ),
    "a module that imports from its own room's door": (
        imports.circles,
        {"domain/__init__.py": "from llm_service.domain.a import A", "domain/a.py": "from llm_service.domain import B"},
    ),
    "a dict in small letters": (state.mutable_globals, {"domain/a.py": "seen = {}"}),
    "a list that nothing freezes": (state.mutable_globals, {"domain/a.py": "NAMES = ['a']"}),
    "a container by its maker": (
        state.mutable_globals,
        {"domain/a.py": "import collections\nSEEN = collections.deque()"},
    ),
    "an annotation that allows changes": (state.mutable_globals, {"domain/a.py": "SEEN: dict[str, int] = {}"}),
    "an object of the module": (state.variables, {"domain/a.py": "client = Client()"}),
    "a module's container that is appended to": (
        state.changed_globals,
        {"domain/a.py": "S: Final = []\ndef f():\n    S.append(1)"},
    ),
    "a module's container that is assigned into": (
        state.changed_globals,
        {"domain/a.py": "S: Final = {}\ndef f():\n    S[1] = 2"},
    ),
    "an attribute of a module's object": (
        state.changed_globals,
        {"domain/a.py": "S: Final = C()\ndef f():\n    S.x = 2"},
    ),
    "the word global": (state.changed_globals, {"domain/a.py": "n = 0\ndef f():\n    global n\n    n += 1"}),
    "the environment": (state.fetched, {"api/a.py": "import os\nos.environ['A']"}),
    "the environment by another name": (state.fetched, {"api/a.py": "from os import getenv as g\ng('A')"}),
    "the clock": (state.fetched, {"api/a.py": "import time\ntime.monotonic()"}),
    "the clock as a default": (state.fetched, {"api/a.py": "from time import time as now\ndef f(clock=now): ..."}),
    "the calendar": (state.fetched, {"api/a.py": "import datetime as d\nd.datetime.now()"}),
    "the calendar by its class": (state.fetched, {"api/a.py": "from datetime import datetime\ndatetime.now()"}),
    "chance": (state.fetched, {"api/a.py": "import random\nrandom.choice([1])"}),
    "chance that seeds itself": (state.fetched, {"api/a.py": "from random import Random\nRandom()"}),
    "an id": (state.fetched, {"api/a.py": "import uuid\nuuid.uuid4()"}),
    "a secret": (state.fetched, {"api/a.py": "import secrets\nsecrets.token_hex()"}),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_caught(breach: str, build: Build) -> None:
    rule, files = BREACHES[breach]
    assert len(list(rule(build(files)))) == 1


KEPT = {
    "domain/__init__.py": "from llm_service.domain.chat import A\n__all__ = ['A']",
    "domain/chat.py": "from collections.abc import Mapping\nA: Mapping[str, int] = {}\nJson = dict[str, int]\n",
    "runtime/clock.py": "import time\nfrom llm_service.domain import A\ndef now():\n    return time.monotonic()",
    "api/a.py": "import random\nfrom llm_service import __version__\ndef f(dice: random.Random, s):\n    s.add(dice)",
    "api/b.py": "from llm_service import domain\nB = domain.A",
    "tokens/a.py": "def f():\n    import kitoken\n    return kitoken",
    "providers/a.py": "from random import Random\nR: tuple = ()\ndef f(R):\n    R.append(Random(1))",
    "cli.py": "import typer\nfrom llm_service.sandbox import Sandbox\napp = typer.Typer()",
    "sandbox/__init__.py": "class Sandbox: ...",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_is_allowed_is_left_alone(rule: Rule, build: Build) -> None:
    assert list(rule(build(KEPT))) == []
