"""W3C Trace Context, level 2: what a caller says of the trace that its request belongs to."""

import re
from typing import Final

from llm_service.domain import fact_in_order

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
"""The trace id's last 56 bits are random (level 2, section 3.2.2.3.2)."""
STATE_CHARS: Final = 512
"""As many must be passed on at least (section 3.3.1.5), and no more are."""
MAX_MEMBERS: Final = 32
LARGE_MEMBER_CHARS: Final = 128
"""Members that are longer go first (section 3.3.1.5)."""

_LENGTH: Final = 55
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE: Final = "0" * 32
_NO_PARENT: Final = "0" * 16
_MEMBER: Final = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]"  # all printable but comma and equals sign
)


@fact_in_order
class TraceContext:
    """A caller's place in a trace. Ids in lower-case hexadecimal; ``state``: of ``tracestate``, empty for none."""

    trace_id: str
    parent_id: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether the caller records the trace."""
        return bool(self.flags & SAMPLED)


def trace_context(traceparent: str, tracestate: str | None = None) -> TraceContext | None:
    """What the two headers say; ``None`` where ``traceparent`` is not valid, and a new trace is to begin.

    A ``tracestate`` that is not valid is left out alone. Flags of versions that we do not know: only those two that
    version 00 has.
    """
    found = _PARENT.match(traceparent)
    if found is None:
        return None
    version, trace_id, parent_id, flags = found.groups()
    rest = traceparent[_LENGTH:]
    if version == "ff" or trace_id == _NO_TRACE or parent_id == _NO_PARENT:
        return None
    if rest and (version == "00" or rest[0] != "-"):
        return None
    state = "" if tracestate is None else trace_state(tracestate)
    return TraceContext(trace_id, parent_id, int(flags, 16) & (SAMPLED | RANDOM), state)


def traceparent_of(trace_id: str, span_id: str, flags: int) -> str:
    """The header in version 00."""
    return f"00-{trace_id}-{span_id}-{flags:02x}"


def trace_state(value: str) -> str:
    """The members of a ``tracestate`` as they are passed on; empty where the whole list is not valid."""
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    keys = [found[1] for member in members if (found := _MEMBER.fullmatch(member)) is not None]
    if len(keys) < len(members) or len(set(keys)) < len(keys) or len(members) > MAX_MEMBERS:
        return ""
    return _within_bound(members)


def _within_bound(members: list[str]) -> str:
    """Whole members, as many as the bound lets through: large ones go first, then those at the end."""
    if _chars(members) > STATE_CHARS:
        for member in reversed([one for one in members if len(one) > LARGE_MEMBER_CHARS]):
            if _chars(members) > STATE_CHARS:
                members.remove(member)
    while _chars(members) > STATE_CHARS:
        members.pop()
    return ",".join(members)


def _chars(members: list[str]) -> int:
    return sum(len(member) for member in members) + max(len(members) - 1, 0)
