"""Tool calls in streams and answers: dense integer indexes, one id and one name per call, arguments that are text."""

from dataclasses import dataclass
from typing import Any, Final

from llm_service.providers.wire import argument_text, own_id

_BODIES: Final = (("function", "arguments"), ("custom", "input"))


@dataclass(slots=True)
class OpenCall:
    """A call whose fragments are still coming. ``upstream_index``: what the upstream calls it, if anything."""

    index: int
    upstream_index: int | None
    upstream_id: str
    body: str
    named: bool
    has_arguments: bool = False


class ToolCalls:
    """The tool calls of one choice of one stream.

    A fragment opens a call when its index is new, or when it has a new id, or a name although the call at its index
    has one. All others continue the call at their index, or the last one.
    """

    __slots__ = ("_by_upstream_index", "_calls", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._calls: list[OpenCall] = []
        self._by_upstream_index: dict[int, OpenCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def normalise(self, fragments: object) -> list[dict[str, Any]]:
        """The fragments of one delta as strict clients want them."""
        if not isinstance(fragments, list):
            return []
        if len(fragments) == 1 and self._goes_on(fragments[0]):
            return fragments
        return [self._fragment(fragment) for fragment in fragments if isinstance(fragment, dict)]

    def complete(self) -> list[dict[str, Any]]:
        """Fragments that give calls without any arguments the empty object: ``""`` is not JSON."""
        bare = [call for call in self._calls if not call.has_arguments and call.body == "function"]
        for call in bare:
            call.has_arguments = True
        return [{"index": call.index, "function": {"arguments": "{}"}} for call in bare]

    def _goes_on(self, fragment: Any) -> bool:
        """Whether it is what most fragments are, and as it should be: more arguments of a known call."""
        try:
            call = self._by_upstream_index[fragment["index"]]
            function = fragment["function"]
            if len(fragment) != 2 or len(function) != 1 or call.index != fragment["index"]:
                return False
            call.has_arguments = call.has_arguments or bool(function["arguments"].strip())
        except (KeyError, TypeError, AttributeError):
            return False
        return True

    def _fragment(self, fragment: dict[str, Any]) -> dict[str, Any]:
        call = self._continued(fragment)
        if call is None:
            return self._opened(fragment)
        name, text = body_of(fragment, call.body)
        made = {key: value for key, value in fragment.items() if key not in ("id", "type", "index", call.body)}
        content: dict[str, Any] = {"arguments" if call.body == "function" else "input": text}
        if name and not call.named:
            call.named = True
            content = {"name": name, **content}
        call.has_arguments |= bool(text.strip())
        return {"index": call.index, call.body: content, **made}

    def _continued(self, fragment: dict[str, Any]) -> OpenCall | None:
        """The call that a fragment goes on with; ``None`` when it opens one."""
        index = fragment.get("index")
        call_id = fragment.get("id")
        if type(index) is int:
            call = self._by_upstream_index.get(index)
        else:
            call = self._of_id(call_id) or (self._calls[-1] if self._calls else None)
        if call is None:
            return None
        if call_id and call.upstream_id:
            return call if call_id == call.upstream_id else None
        name, _ = body_of(fragment, call.body)
        return None if name and call.named else call

    def _of_id(self, call_id: object) -> OpenCall | None:
        return next((call for call in self._calls if call_id and call.upstream_id == call_id), None)

    def _opened(self, fragment: dict[str, Any]) -> dict[str, Any]:
        upstream_index = fragment.get("index")
        body = "custom" if "custom" in fragment and "function" not in fragment else "function"
        name, text = body_of(fragment, body)
        call = OpenCall(
            index=len(self._calls),
            upstream_index=upstream_index if type(upstream_index) is int else None,
            upstream_id=str(fragment.get("id") or ""),
            body=body,
            named=bool(name),
            has_arguments=bool(text.strip()),
        )
        self._calls.append(call)
        if call.upstream_index is not None:
            self._by_upstream_index[call.upstream_index] = call
        rest = {key: value for key, value in fragment.items() if key not in ("id", "type", "index", body)}
        return {
            "index": call.index,
            "id": call.upstream_id or own_id("call_", self._seed, call.index),
            "type": body,
            body: {"name": name, "arguments" if body == "function" else "input": text},
            **rest,
        }


def body_of(fragment: dict[str, Any], body: str) -> tuple[str, str]:
    """Name and argument text of a call or a fragment of one."""
    inner = fragment.get(body)
    if not isinstance(inner, dict):
        return "", ""
    return str(inner.get("name") or ""), argument_text(inner.get(dict(_BODIES)[body]))


def whole_calls(calls: object, seed: str) -> list[dict[str, Any]]:
    """The tool calls of a whole answer: with ids, and ``{}`` for no arguments."""
    made: list[dict[str, Any]] = []
    for call in calls if isinstance(calls, list) else ():
        if not isinstance(call, dict):
            continue
        body = "custom" if "custom" in call and "function" not in call else "function"
        name, text = body_of(call, body)
        rest = {key: value for key, value in call.items() if key not in ("id", "type", body)}
        made.append(
            {
                "id": str(call.get("id") or own_id("call_", seed, len(made))),
                "type": body,
                body: {"name": name, "input": text} if body == "custom" else _function(name, text),
                **rest,
            }
        )
    return made


def _function(name: str, text: str) -> dict[str, str]:
    return {"name": name, "arguments": text if text.strip() else "{}"}
