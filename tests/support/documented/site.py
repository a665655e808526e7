"""The service that the pages talk about: a sandbox with a model of two deployments, a key, a request and a stream."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
from scripts.doc_blocks import CHECKOUT

from tests.support.documented.commands import llm_service_on_path
from tests.support.documented.shell import CURL, write_program
from tests.support.process import Serving, place, serving

ADMIN_KEY = "sk-test-admin-key-of-the-pages"
SETTINGS = {
    "sandbox": "on",
    "auth": {"admin_key": ADMIN_KEY},
    "models": {
        "fast": {
            "deployments": [
                {"provider": "deepseek", "model": "deepseek-flash"},
                {"provider": "openrouter", "model": "deepseek/deepseek-v4-flash"},
            ]
        }
    },
}
ASKED = {"model": "deepseek/deepseek-flash", "messages": [{"role": "user", "content": "Tell me about rivers."}]}


@dataclass(frozen=True)
class Site:
    """Where everything is. ``sandbox``: the simulated providers as a program of its own, on the page's port 8090."""

    service: Serving
    sandbox: Serving
    settings: Path
    state: Path
    programs: Path

    @property
    def address(self) -> str:
        return self.service.address

    def client(self) -> httpx2.Client:
        """The admin."""
        return httpx2.Client(base_url=self.address, headers=bearer(ADMIN_KEY))

    def variables(self, folder: Path, **own: str) -> dict[str, str]:
        """What a shell or a program of a page knows."""
        host = self.address.removeprefix("http://")
        return {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(CHECKOUT / "src"),
            "LLM_SERVICE_CONFIG": str(self.settings),
            "LLM_SERVICE_SERVER__PORT": host.rpartition(":")[2],
            "XDG_STATE_HOME": str(self.state),
            "LLM_ADMIN_KEY": ADMIN_KEY,
            "LLM_ENV_FILE": str(folder / ".env"),
            "OPENROUTER_BASE_URL": f"{self.sandbox.address}/openrouter/api/v1",
            "DEEPSEEK_BASE_URL": f"{self.sandbox.address}/deepseek",
            **own,
        }

    def here(self, text: str) -> str:
        """A block with the usual ports as they are here."""
        text = re.sub(r"\b(127\.0\.0\.1|localhost):8080\b", self.address.removeprefix("http://"), text)
        return re.sub(r"\b(127\.0\.0\.1|localhost):8090\b", self.sandbox.address.removeprefix("http://"), text)

    def named(self, text: str, known: Mapping[str, str]) -> str:
        """A block with names of things that there are, in place of those that stand for any: ``key_...``."""
        for kind, name in known.items():
            text = re.sub(rf"\b{kind}_(\.\.\.|0675fd8a4aa9[0-9a-f]+)", name, text)
        return self.here(text)

    def known(self) -> dict[str, str]:
        """A key with its ``secret``, a request of it, and a stream of whoever needs none."""
        with self.client() as client:
            made = answer_of(
                client.post("/admin/keys", json={"name": "page", "scopes": ["inference", "read", "admin"]})
            )
            whole = client.post("/v1/chat/completions", json=ASKED, headers=bearer(made["key"]))
            streamed = httpx2.post(f"{self.address}/v1/chat/completions", json={**ASKED, "stream": True})
        return {
            "key": made["id"],
            "secret": made["key"],
            "str": streamed.headers["x-llm-stream-id"],
            "req": whole.headers["x-request-id"],
        }


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def answer_of(response: httpx2.Response) -> Any:
    response.raise_for_status()
    return response.json()


@contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """Everything, until the block ends."""
    settings, state, programs = folder / "llm-service.yaml", folder / "state", folder / "bin"
    programs.mkdir()
    settings.write_bytes(orjson.dumps(SETTINGS))
    around = place(folder, cached=True, resilient=True, XDG_STATE_HOME=str(state))
    with ExitStack() as held:
        service = held.enter_context(serving(around, "--config", str(settings)))
        sandbox = held.enter_context(serving(place(folder), command=("sandbox",)))
        held.enter_context(llm_service_on_path(programs, service.address))
        write_program(programs / "curl", CURL)
        answer_of(httpx2.post(f"{service.address}/graphql", json={"query": "{ __typename }"}, timeout=60))  # imports it
        yield Site(service, sandbox, settings, state, programs)
