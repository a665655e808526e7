"""What all chunks of a stream share: id, object, created, model; made whole where the upstream leaves it empty."""

from typing import Any, Final

from llm_service.providers.base import UpstreamCall
from llm_service.providers.wire import own_id

_SHARED: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})
_INCIDENTAL: Final = frozenset({"system_fingerprint", "service_tier", "provider", "obfuscation"})


class Envelope:
    """The first values that the upstream gives hold for the whole stream.

    ``id`` is ours where the upstream has none, or none that is unique (``own_ids``).
    """

    __slots__ = ("_chat", "_request_id", "created", "id", "model", "object", "told_model", "upstream_id")

    def __init__(self, call: UpstreamCall, *, own_ids: bool) -> None:
        self._chat = chat = call.request.operation == "chat"
        self._request_id = call.request_id
        self.id: str | None = self._own_id() if own_ids else None
        self.object = "chat.completion.chunk" if chat else "text_completion"
        self.created: int | None = None
        self.model: str = call.candidate.upstream_model
        self.upstream_id: str | None = None
        self.told_model: str | None = None

    def fix(self, chunk: dict[str, Any]) -> bool:
        """Give the chunk the values of its stream; whether that changed it. One without choices settles none."""
        self._learn(chunk, settle=bool(chunk.get("choices")))
        created = self.created or 0
        if (
            chunk.get("id") == self.id
            and chunk.get("object") == self.object
            and chunk.get("created") == created
            and chunk.get("model") == self.model
        ):
            return False
        chunk.update(id=self.id, object=self.object, created=created, model=self.model)
        return True

    def _own_id(self) -> str:
        return own_id("chatcmpl-" if self._chat else "cmpl-", self._request_id)

    def _learn(self, chunk: dict[str, Any], *, settle: bool) -> None:
        if self.upstream_id is None and chunk.get("id"):
            self.upstream_id = str(chunk["id"])
            self.id = self.id or self.upstream_id
        if self.told_model is None and chunk.get("model"):
            self.model = self.told_model = str(chunk["model"])
        created = chunk.get("created")
        if not self.created and isinstance(created, int | float):
            self.created = int(created)
        if settle:
            self.id = self.id or self._own_id()
            self.created = self.created or 0


def around(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk without its choices and usage."""
    return {key: value for key, value in chunk.items() if key not in ("choices", "usage")}


def has_extras(chunk: dict[str, Any]) -> bool:
    """Whether a chunk without choices tells something all the same, such as a content filter's findings."""
    return any(value for key, value in chunk.items() if key not in _SHARED and key not in _INCIDENTAL)
