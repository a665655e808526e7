"""The choices of a stream's chunks: deltas and texts in OpenAI's form, finish reasons apart from content."""

from collections.abc import Mapping
from typing import Any, Final

from llm_service.providers.base import UpstreamCall
from llm_service.providers.tool_calls import ToolCalls
from llm_service.providers.wire import finish_word, unblocked

_SHOWN: Final = (
    *("content", "reasoning_content", "reasoning", "tool_calls"),
    *("refusal", "audio", "images", "function_call"),
)
_DETAILS: Final = ("text", "summary", "data", "signature")


class Choices:
    """Knows the choices of one stream. ``seen``: their indexes."""

    __slots__ = ("_calls", "_chat", "_seed", "seen")

    def __init__(self, call: UpstreamCall) -> None:
        self._chat = call.request.operation == "chat"
        self._seed = call.request_id
        self._calls: dict[int, ToolCalls] = {}
        self.seen: set[int] = set()

    @property
    def are_plain(self) -> bool:
        """A chat with one choice."""
        return self._chat and self.seen == {0}

    def fix(self, choice: dict[str, Any], position: int) -> bool:
        """Put a choice into OpenAI's form; whether that changed it."""
        changed = type(choice.get("index")) is not int
        if changed:
            choice["index"] = position
        self.seen.add(choice["index"])
        return (self._fix_delta(choice) if self._chat else self._fix_text(choice)) or changed

    def carries(self, choice: dict[str, Any]) -> bool:
        """Whether there is anything in it that must not be lost."""
        if not self._chat:
            return bool(choice["text"])
        return any(value for key, value in choice["delta"].items() if key != "role")

    def shows(self, choice: dict[str, Any]) -> bool:
        """Whether there is anything in it that a reader sees."""
        if not self._chat:
            return bool(choice["text"])
        delta = choice["delta"]
        for name in _SHOWN:
            if delta.get(name):
                return True
        details = delta.get("reasoning_details")
        return isinstance(details, list) and any(map(_has_substance, details))

    def finish(self, choice: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any], bool]:
        """Take the last part of a choice apart: its content if any, its bare finish, whether anything was changed."""
        word = choice["finish_reason"]
        calls = self._calls.get(choice["index"])
        reason = finish_word(word)
        changed = reason != word
        if changed and choice.get("native_finish_reason") is None:
            choice["native_finish_reason"] = word
        if reason == "stop" and calls:
            reason = "tool_calls"  # Gemini and some templates of llama.cpp say stop after a call
            changed = True
        choice["finish_reason"] = reason
        if calls:
            self._complete(choice["delta"], calls)
        if not self.carries(choice):
            return None, choice, changed
        return self._content_of(choice), self._bare(choice), True

    def _fix_text(self, choice: dict[str, Any]) -> bool:
        if type(choice.get("text")) is str:
            return False
        choice["text"] = ""
        return True

    def _fix_delta(self, choice: dict[str, Any]) -> bool:
        delta = choice.get("delta")
        changed = not isinstance(delta, dict)
        if not isinstance(delta, dict):
            message = choice.pop("message", None)
            delta = choice["delta"] = message if isinstance(message, dict) else {}
        if "role" in delta and delta["role"] != "assistant":
            del delta["role"]
            changed = True
        if "tool_calls" in delta:
            changed |= self._fix_tool_calls(delta, choice["index"])
        return unblocked(delta) or changed

    def _fix_tool_calls(self, delta: dict[str, Any], index: int) -> bool:
        told = delta["tool_calls"]
        if not told:
            del delta["tool_calls"]
            return True
        if index not in self._calls:
            self._calls[index] = ToolCalls(f"{self._seed}/{index}")
        fragments = self._calls[index].normalise(told)
        if fragments == told:
            return False
        delta["tool_calls"] = fragments
        return True

    def _complete(self, delta: dict[str, Any], calls: ToolCalls) -> None:
        """Arguments for the calls that got none: on their own fragment if it is still here, else on one more."""
        here = {fragment["index"]: fragment for fragment in delta.get("tool_calls") or ()}
        for fragment in calls.complete():
            if fragment["index"] in here:
                here[fragment["index"]]["function"]["arguments"] = "{}"
            else:
                delta["tool_calls"] = [*(delta.get("tool_calls") or ()), fragment]

    def _content_of(self, choice: dict[str, Any]) -> dict[str, Any]:
        cleared = {"finish_reason", "native_finish_reason"} & choice.keys()
        return {**choice, **dict.fromkeys(cleared)}

    def _bare(self, choice: dict[str, Any]) -> dict[str, Any]:
        empty: Mapping[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return {**choice, **empty, **({"logprobs": None} if "logprobs" in choice else {})}


def _has_substance(detail: object) -> bool:
    return isinstance(detail, dict) and any(detail.get(key) for key in _DETAILS)
