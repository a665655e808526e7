"""Every behaviour of the sandbox as cases to walk: what to ask of which provider, and in which way it has to end."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llm_service.sandbox.behaviour import Form, Kind
from llm_service.sandbox.dialects import deepseek_errors, openrouter_errors, plain_errors
from llm_service.sandbox.dialects.errors import ErrorCase, Errors
from llm_service.sandbox.forms import GROUPS
from llm_service.sandbox.mid_errors import STYLES

Ends = Literal["answer", "error", "either"]

MODELS: Mapping[str, str] = {
    "openrouter": "openrouter/openai/gpt-4o-mini",
    "deepseek": "deepseek/deepseek-flash",
    "plain": "plain/sandbox/chat",
}
ERRORS: Mapping[str, Errors] = {
    "openrouter": openrouter_errors.ERRORS,
    "deepseek": deepseek_errors.ERRORS,
    "plain": plain_errors.ERRORS,
}
STATUSES: Mapping[int, frozenset[int]] = {
    400: frozenset((400, 404, 502)),  # a model that is not known; a tool call that the model made badly
    401: frozenset((502,)),
    402: frozenset((503,)),
    403: frozenset((400, 404, 502, 503)),  # moderation, context; region; the credential; a key that is spent
    404: frozenset((400, 404, 502)),
    408: frozenset((504,)),
    409: frozenset((502,)),
    413: frozenset((413,)),
    422: frozenset((400,)),
    429: frozenset((429, 503)),  # a quota is money
}
"""What may become of a documented status of an upstream; of those that are not named here: 502 or 504."""


@dataclass(frozen=True)
class Case:
    """One behaviour. ``said``: how the upstream's message begins, which only the caller's own faults may repeat."""

    behaviour: str
    ends: Ends = "either"
    statuses: frozenset[int] | None = None
    said: str = ""


def cases(provider: str, group: str) -> Iterator[Case]:
    """All cases of one group of behaviours; a form that is not known here needs an argument of its own."""
    for form in GROUPS[group]:
        walk = WALKS.get(form.name)
        if walk is not None:
            yield from walk(ERRORS[provider])
        else:
            assert form.kind is Kind.FLAG or form.default is not None, (
                f"which arguments of {form.name} are to be shown?"
            )
            yield Case(f"{PREFIXES.get(group, '')}{form.name}", _ends_of(group, form))


def _ends_of(group: str, form: Form) -> Ends:
    return ENDS_OF_FORMS.get(form.name) or ENDS_OF_GROUPS.get(group, "either")


def _before_the_answer(errors: Errors) -> Iterator[Case]:
    for name, error in errors.items():
        yield Case(f"error-{name}", "error", STATUSES.get(error.status, frozenset((502, 504))), _said_by(error))


def _inside_a_200(errors: Errors) -> Iterator[Case]:
    return (Case(f"error-in-200-{name}", "error") for name in errors)


def _first_in_a_stream(errors: Errors) -> Iterator[Case]:
    return (Case(f"error-first-{name}", "error") for name in _with_an_object(errors))


def _in_mid_stream(errors: Errors) -> Iterator[Case]:
    yield from (Case(f"error-mid-{name}", "error") for name in _with_an_object(errors))
    # An error that comes when the answer is complete takes nothing back.
    yield from (Case(f"error-mid-{style}", "either" if style == "after-finish" else "error") for style in STYLES)


def _finishes() -> Iterator[Case]:
    yield from (Case(f"finish-{word}", "answer") for word in ("stop", "length", "content_filter", "eos", "unheard_of"))
    yield from (Case(f"finish-{word}", "error") for word in ("error", "abort", "insufficient_system_resource"))


def _with_an_object(errors: Errors) -> list[str]:
    return [name for name, error in errors.items() if isinstance(_error_in(error.body), dict)]


def _error_in(body: Any) -> Any:
    return body.get("error") if isinstance(body, dict) else None


def _said_by(error: ErrorCase) -> str:
    told = _error_in(error.body)
    message = told.get("message") if isinstance(told, dict) else error.body
    return message.partition("{")[0][:40] if isinstance(message, str) else ""


def _at_every_place(name: str) -> Callable[[Errors], Iterator[Case]]:
    return _each("error", *(f"{name}-{place}" for place in (0, 1, 3, 9999)))


def _each(ends: Ends, *behaviours: str) -> Callable[[Errors], Iterator[Case]]:
    return lambda _: (Case(behaviour, ends) for behaviour in behaviours)


BREAKS = ("end-after", "cut-after", "cut-inside", "cut-utf8", "reset-after", "bad-chunking")
WALKS: Mapping[str, Callable[[Errors], Iterator[Case]]] = {
    **{name: _at_every_place(name) for name in BREAKS},
    "slow-head": _each("answer", "slow-head-50ms"),
    "slow-first-byte": _each("answer", "slow-first-byte-50ms"),
    "keep-alive": _each("answer", "keep-alive-100ms"),
    "keep-alive-every": _each("answer", "keep-alive-100ms+keep-alive-every-10ms"),
    "pace": _each("answer", "pace-1ms"),
    "stall-for": _each("answer", "stall-after-2+stall-for-50ms"),
    "content-type": _each("answer", *(f"content-type-{kind}" for kind in ("octet-stream", "text", "html", "none"))),
    "error": _before_the_answer,
    "error-in-200": _inside_a_200,
    "error-first": _first_in_a_stream,
    "error-mid": _in_mid_stream,
    "at": _each("error", "error-mid-documented+at-0", "error-mid-documented+at-1"),
    "retry-after": _each("error", *(f"error-429+retry-after-{when}" for when in ("1", "0", "soon", "1e9"))),
    "first": _each("error", "first-1+error-500"),
    "share": _each("error", "share-100+error-500"),
    "strict": _each("answer", "strict"),
    "finish": lambda _: _finishes(),
    "reasoning-field": _each(
        "answer", *(f"reasoning-field-{field}" for field in ("reasoning", "reasoning_content", "think-tags", "mistral"))
    ),
    "bulk": _each("answer", "bulk-2mb"),
    "gzip-bomb": _each("error", "gzip-bomb-65mb"),
    "redirect": _each("error", *(f"redirect-{status}" for status in (300, 301, 302, 303, 304, 307, 308))),
}
ENDS_OF_GROUPS: Mapping[str, Ends] = {
    "Broken connections": "error",
    "Malformed bodies": "error",
    "Framing of streams": "answer",
    "Usage": "answer",
    "Tool calls": "answer",
    "Content": "answer",
    "HTTP": "answer",
}
ENDS_OF_FORMS: Mapping[str, Ends] = dict.fromkeys(
    ("stall-after", "stall-head", "bad-gzip", "redirect-to", "endless-head", "endless-body", "endless-event"), "error"
)
PREFIXES: Mapping[str, str] = {"Tool calls": "tool-call+"}
