"""A service with a defect: whatever it writes as JSON that asks for it raises an exception that tells what it was."""

from pathlib import Path
from typing import Final

DEFECT: Final = "raises"
"""A field of a request; its value is the exception's name."""
_SITE: Final = f"""
import orjson
real = orjson.dumps
def dumps(value, *more, **named):
    if type(value) is dict and type(value.get("{DEFECT}")) is str:
        error = getattr(__import__("builtins"), value["{DEFECT}"])
        try:
            raise ValueError(f"no number: {{value['messages'][-1]['content']!r}}")
        except ValueError as cause:
            raise error(value["messages"][-1]["content"]) from cause
    return real(value, *more, **named)
orjson.dumps = dumps
"""


def path_with_a_defect(folder: Path, source: Path) -> str:
    """For ``PYTHONPATH``: what is run with it has the defect."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_SITE)
    return f"{folder}:{source}"
