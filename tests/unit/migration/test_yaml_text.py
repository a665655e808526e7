"""Settings that were written are read again as they were."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_service.config import Fields, Items, Node, Scalar, Source, read_yaml
from llm_service.migration import yaml_text

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ("true", "null", "1", "1e3", "on", "off", "- a", "# b", "a: b", "${X}", "\n", " x ", "x" * 130, "{", "*")
    ),
)
scalars = st.one_of(texts, st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=6))
names = texts.filter(lambda text: text not in ("", "<<", "null"))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3), st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=10,
)


def plain(node: Node | None) -> Any:
    match node:
        case Scalar():
            return node.text
        case Items():
            return [plain(item) for item in node.items]
        case Fields():
            return {name: plain(entry.value) for name, entry in node.entries.items()}
        case None:
            return {}


def as_texts(value: Any) -> Any:
    match value:
        case dict():
            return {name: as_texts(item) for name, item in value.items()}
        case list():
            return [as_texts(item) for item in value]
        case bool():
            return str(value).lower()
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case _:
            return str(value)


@given(st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_again(settings: dict[str, Any]) -> None:
    node, mistakes = read_yaml(yaml_text(settings), Source("settings", Path()))
    assert mistakes == []
    assert plain(node) == as_texts(settings)


def test_people_read_one_setting_a_line() -> None:
    deployments = [{"provider": "a", "model": "x/y"}, {"provider": "b", "model": "z:1", "weight": Decimal("0.50")}]
    text = yaml_text({"models": {"fast": {"deployments": deployments, "strategy": "weighted"}}, "sandbox": "off"})
    assert text == (
        "models:\n"
        "  fast:\n"
        "    deployments:\n"
        "      - {provider: a, model: x/y}\n"
        '      - {provider: b, model: "z:1", weight: 0.5}\n'
        "    strategy: weighted\n"
        "sandbox: off\n"
    )
