"""How a line looks: the same facts as JSON for machines and as text for people, without secrets in either."""

import json
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from llm_service.domain import MASK
from llm_service.observability.hints import HINTS
from llm_service.observability.options import ObservabilityOptions
from llm_service.observability.redaction import Redaction
from llm_service.observability.stamps import Stamps
from llm_service.runtime import Clock

NO_REDACTION_BUT_LOOKS: Final = Redaction()
_COMMANDS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey: callers choose names of models, and providers what they complain of."""


class Lines:
    """Makes the lines of one process. ``worker``: its number among several that write to one place."""

    __slots__ = ("_console", "_own", "_redaction", "_stamps")

    def __init__(
        self,
        options: ObservabilityOptions,
        *,
        clock: Clock,
        redaction: Redaction = NO_REDACTION_BUT_LOOKS,
        worker: int | None = None,
        on_terminal: bool = False,
    ) -> None:
        self._stamps = Stamps(clock)
        self._own = of_worker(worker)
        self._redaction = redaction
        self._console: Any = None
        if as_text(options, on_terminal=on_terminal):
            import structlog

            # The renderer's own choice of a traceback shows the values of variables: prompts and credentials.
            plain = structlog.dev.plain_traceback
            self._console = structlog.dev.ConsoleRenderer(
                colors=on_terminal, timestamp_key="at", exception_formatter=plain
            )

    def of(self, level: str, event: str, facts: Mapping[str, Any]) -> bytes:
        """The line, with its end. ``exc_info`` becomes a traceback without the values of variables; an ``error_code``
        gets its hint."""
        facts = _with_traceback(dict(facts))
        hint = HINTS.get(str(facts.get("error_code")))
        if hint is not None:
            facts.setdefault("hint", hint)
        line = {
            "at": self._stamps.now(),
            "level": level,
            "event": self._redaction.text(event),
            **self._own,
            **self._redaction.facts(facts),
        }
        if self._console is None:
            return json_line(line)
        text: str = self._console(None, level, {name: _to_be_read(value) for name, value in line.items()})
        return f"{text}\n".encode("utf-8", "backslashreplace")


def _with_traceback(facts: dict[str, Any]) -> dict[str, Any]:
    """By the standard library, which is loaded: who has no descriptor left can still say so."""
    given = facts.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        facts["exception"] = traceback_of(error)
    return facts


def traceback_of(error: BaseException) -> str:
    """Without the words of exceptions that repeat values: what cannot be read or found may be a prompt, or a key."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    hidden = {str(one) for one in _chain(error) if isinstance(one, ValueError | LookupError)} - {""}
    for words in sorted(hidden, key=len, reverse=True):
        text = text.replace(f": {words}", f": {MASK}")
        for line in words.splitlines():  # of several, each has signs before it where it is one of a group
            text = text.replace(line, MASK) if len(line) > len(MASK) else text
    return text


def _chain(error: BaseException) -> Iterator[BaseException]:
    """It, and those that it came of, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
            waiting += [other for other in (one.__cause__, one.__context__, *inner) if other is not None]


def _to_be_read(value: Any) -> Any:
    return _COMMANDS.sub(lambda found: repr(found[0])[1:-1], value) if isinstance(value, str) else value


def json_line(line: Any) -> bytes:
    """Facts as JSON, with the line's end; never raises for what plain values hold."""
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half of a surrogate pair, a number beyond 64 bits
        return f"{json.dumps(line)}\n".encode()


def of_worker(worker: int | None) -> dict[str, int]:
    """What each line of a worker says of it."""
    return {} if worker is None else {"worker": worker}


def as_text(options: ObservabilityOptions, *, on_terminal: bool) -> bool:
    """Whether lines are for people."""
    return options.log_format == "text" or (options.log_format == "auto" and on_terminal)
