"""The transcripts of upstream answers: the project's own folder, and a further one that a setting names.

Own: tests/transcripts/<server>/<case>/ with reply.*, expected.json, about.json, perhaps request.json. Further:
LLM_SERVICE_TEST_TRANSCRIPTS names a folder whose index.json lists files with their status and headers; there is
nothing expected in it, so its cases are held against the oracle alone.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llm_service.domain import Candidate, ModelRequest, chat_request, completion_request, embedding_request
from llm_service.providers import Dialect, ProviderOptions, UpstreamCall, dialect_for
from llm_service.providers.catalog import SERVERS
from tests.support.clock import ManualClock

FOLDER = Path(__file__).parents[1] / "transcripts"
FURTHER = "LLM_SERVICE_TEST_TRANSCRIPTS"
Form = Literal["stream", "answer", "error", "models", "account", "generation"]
_OTHER_SURFACES = ("anthropic", "responses", "generation-404", "model-endpoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One recorded or composed answer. ``expected`` is empty where only the oracle can tell."""

    name: str
    server: str
    form: Form
    body: bytes
    status: int = 200
    headers: Mapping[str, str]
    operation: str = "chat"
    expected: Mapping[str, Any]

    @property
    def dialect(self) -> Dialect:
        return dialect_for(self.server, ProviderOptions(base_url="https://upstream.test/v1"), ManualClock())

    @property
    def call(self) -> UpstreamCall:
        stream = self.form == "stream"
        candidate = Candidate(provider=self.server, upstream_model="asked/model")
        return UpstreamCall(
            request=a_request(self.operation, stream=stream), candidate=candidate, request_id="req_test"
        )


def a_request(operation: str = "chat", *, stream: bool = False, **fields: Any) -> ModelRequest:
    """A request with nothing special about it but what is given."""
    body = {"model": "asked/model", "stream": stream, **fields}
    if operation == "completion":
        return completion_request({"prompt": "Say it.", **body})
    if operation == "embedding":
        return embedding_request({"input": "Say it.", **body})
    return chat_request({"messages": [{"role": "user", "content": "Say it."}], **body})


def a_call(operation: str = "chat", *, model: str = "asked/model", **fields: Any) -> UpstreamCall:
    """A call with nothing special about it but what is given; ``model`` is the upstream's name of it."""
    candidate = Candidate(provider="acme", upstream_model=model)
    return UpstreamCall(request=a_request(operation, **fields), candidate=candidate, request_id="req_test")


def transcripts(*forms: Form) -> list[Transcript]:
    """All transcripts of these forms."""
    found = [_own(about.parent) for about in sorted(FOLDER.glob("*/*/about.json"))]
    if further := os.environ.get(FURTHER):
        found += _further(Path(further))
    return [one for one in found if one.form in forms]


def _own(case: Path) -> Transcript:
    about = json.loads((case / "about.json").read_text())
    (reply,) = case.glob("reply.*")
    return Transcript(
        name=f"{case.parent.name}/{case.name}",
        server=case.parent.name,
        form=_form(case.name, reply.suffix, about["status"]),
        body=reply.read_bytes(),
        status=about["status"],
        headers=_lower(about.get("headers", {})),
        operation=about.get("operation", "chat"),
        expected=json.loads((case / "expected.json").read_text()),
    )


def _further(folder: Path) -> list[Transcript]:
    found = []
    for entry in json.loads((folder / "index.json").read_text()):
        path = Path(entry["file"])
        if any(word in path.stem for word in _OTHER_SURFACES):
            continue
        found.append(
            Transcript(
                name=f"further:{path}",
                server=_server(path),
                form=_form(path.stem, path.suffix, entry["status"]),
                body=(folder / path).read_bytes(),
                status=entry["status"],
                headers=_lower(entry.get("headers", {})),
                operation="completion" if "fim" in path.stem else "embedding" if "embed" in path.stem else "chat",
                expected={},
            )
        )
    return found


def _server(path: Path) -> str:
    """The folder's name where it is a server's, else the first word of the file's name, as far as we know it."""
    name = path.parent.name if path.parent.name in ("openrouter", "deepseek") else path.stem.partition("-")[0]
    return name if name in SERVERS or name in ("openrouter", "deepseek") else "generic"


def _form(stem: str, suffix: str, status: int) -> Form:
    if status != 200:
        return "error"
    if suffix == ".sse":
        return "stream"
    if stem == "models":
        return "models"
    if stem.startswith("generation"):
        return "generation"
    return "account" if stem in ("key", "credits", "balance") or stem.startswith("account-") else "answer"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
