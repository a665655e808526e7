"""docs/reference/rest.md and rest-objects.md: what the OpenAPI description says, for reading."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from scripts.reference.tables import one_of, page, table, without_empty_columns

from llm_service.api.rest.docs import FILES
from llm_service.api.rest.openapi import openapi_document

METHODS: Final = ("get", "post", "put", "patch", "delete")
ABOUT: Final = """\
What the service itself shows at `/docs`, and gives programs at `/openapi.json` (OpenAPI 3.1): the addresses by what
they are for. [rest-objects.md](rest-objects.md) has the objects that go in and come out, [errors.md](../errors.md)
every error, [keys.md](../keys.md#scopes) what the scope of a key opens."""
ABOUT_OBJECTS: Final = """\
The objects of [the addresses](rest.md), field by field. A field in bold is always there, or has to be. `a.b` is a field
within a field, `a[]` an item of a list, `a.*` a value of a map. Fields of requests that are not named here pass to the
provider untouched, and those of its answers back, wherever an object is OpenAI's."""
SEVERAL: Final = ("allOf", "anyOf", "oneOf")
MOST_WORDS: Final = 12
BOUNDS: Final = (
    ("minimum", "at least {}"), ("exclusiveMinimum", "more than {}"), ("maximum", "at most {}"),
    ("minLength", "{} or more characters"), ("maxLength", "{} characters at most"),
    ("minItems", "{} or more"), ("maxItems", "{} at most"),
)  # fmt: skip


def document() -> dict[str, Any]:
    return openapi_document("", page_files=tuple(FILES))


def text(described: Mapping[str, Any]) -> str:
    """The addresses."""
    return page("REST", ABOUT, [*_by_tag(described), *_headers(described)])


def text_of_objects(described: Mapping[str, Any]) -> str:
    """The objects."""
    return page("Objects of REST", ABOUT_OBJECTS, _objects(described["components"]["schemas"]))


def _by_tag(described: Mapping[str, Any]) -> Iterator[str]:
    for tag in described["tags"]:
        yield f"## {tag['name']}"
        yield tag["description"]
        for path, item in described["paths"].items():
            for method in METHODS:
                if tag["name"] in item.get(method, {}).get("tags", ()):
                    yield from _operation(method, path, item, described["components"])


def _operation(method: str, path: str, item: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[str]:
    operation = item[method]
    yield f"### {method.upper()} {path}"
    yield ended(operation["summary"]) + (f" {operation['description']}" if "description" in operation else "")
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    yield table(["parameter", "in", "type", "meaning"], [_parameter(one) for one in parameters if "$ref" not in one])
    shared = [_resolved(one, components["parameters"])["name"] for one in parameters if "$ref" in one]
    yield f"[Headers](#headers-of-requests): {', '.join(f'`{name}`' for name in shared)}." if shared else ""
    yield f"Takes {content(operation['requestBody'])}." if "requestBody" in operation else ""
    yield table(["answer", "means", "body"], [*_answers(operation)])


def _answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for status, answer in sorted(operation["responses"].items()):
        if "$ref" not in answer:
            yield f"`{status}`", answer["description"], content(answer)
    failures = sorted(status for status, answer in operation["responses"].items() if "$ref" in answer)
    if failures:
        yield (
            ", ".join(f"`{status}`" for status in failures),
            "An [error](../errors.md).",
            "[Error](rest-objects.md#error)",
        )


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    name = f"`{parameter['name']}`"
    required = parameter.get("required") and parameter["in"] != "path"
    return (
        f"**{name}**" if required else name,
        parameter["in"],
        spelled(parameter["schema"]),
        parameter.get("description", ""),
    )


def _shared(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    name, _, kind, meaning = _parameter(parameter)
    return name, kind, meaning


def _headers(described: Mapping[str, Any]) -> Iterator[str]:
    yield "## Headers of requests"
    yield table(["header", "type", "meaning"], [_shared(one) for one in described["components"]["parameters"].values()])
    yield "## Headers of answers"
    yield "Which of them an answer has stands in the description at `/docs`."
    headers = described["components"]["headers"].items()
    yield table(
        ["header", "type", "meaning"],
        [(f"`{name}`", spelled(one["schema"]), one["description"]) for name, one in headers],
    )


def _objects(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f"## {name}"
        yield schema.get("description", "")
        rows = [*fields(schema)]
        head, *body = without_empty_columns(["field", "type", "meaning"], rows)
        yield table(head, body) if rows else spelled(schema)


def fields(schema: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """The rows of an object, and of the objects within it."""
    for part in (schema, *(one for several in SEVERAL for one in schema.get(several, ()))):
        for name, inner in part.get("properties", {}).items():
            path = f"{above}{name}"
            shown = f"**`{path}`**" if name in part.get("required", ()) else f"`{path}`"
            yield shown, spelled(inner), inner.get("description", "")
            yield from fields(inner, f"{path}.")
            yield from fields(inner.get("items", {}), f"{path}[].")
            if isinstance(values := inner.get("additionalProperties"), dict):
                yield from fields(values, f"{path}.*.")


def content(body: Mapping[str, Any]) -> str:
    """The media types of a body, with what is in them."""
    types = body.get("content", {})
    return ", ".join(
        f"{spelled(one['schema'])} (`{name}`)" if "$ref" not in one["schema"] else spelled(one["schema"])
        for name, one in types.items()
    )


def spelled(schema: Mapping[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](rest-objects.md#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(spelled({"type": schema.get("type"), **one}) for one in schema[several]))
    if "const" in schema or "enum" in schema:
        words = [_json(word) for word in schema.get("enum", [schema.get("const")])]
        return one_of(words) if len(words) <= MOST_WORDS else f"one of {len(words)} names"
    kinds = schema.get("type") or "anything"
    said_kinds = [_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    bounds = [said.format(f"{schema[name]:.15g}") for name, said in BOUNDS if name in schema]
    return " or ".join(said_kinds) + (f"; {', '.join(bounds)}" if bounds else "")


def _kind(kind: str, schema: Mapping[str, Any]) -> str:
    match kind:
        case "array":
            return f"list of {spelled(schema['items'])}" if "items" in schema else "list"
        case "object" if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
            return f"map of {spelled(schema['additionalProperties'])}"
        case "string" if schema.get("format") == "date-time":
            return "moment (RFC 3339)"
        case "string" if "contentMediaType" in schema:
            return str(schema["contentMediaType"])
        case _:
            return {"integer": "whole number", "string": "text", "boolean": "`true` or `false`"}.get(kind, kind)


def _json(word: object) -> str:
    return "null" if word is None else str(word).lower() if isinstance(word, bool) else str(word)


def _resolved(parameter: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = shared[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
    return found


def ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def names_of(described: Mapping[str, Any]) -> Iterable[str]:
    """Every address with its method, as the page has to have them."""
    return (
        f"{method.upper()} {path}" for path, item in described["paths"].items() for method in METHODS if method in item
    )
