"""The answers that pages show, beside those that the service gives."""

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Final

import httpx2
import orjson
from scripts.doc_blocks import Block

from tests.support.documented.site import ASKED, Site, answer_of, bearer
from tests.support.process import child, place
from tests.support.waiting import wait_until

Asks = Callable[[Site], Any]
SOME_OF: Final = frozenset(("series",))
"""Maps of which a page shows a few entries, for all that there are."""
SOMETIMES: Final = frozenset(("worker", "trace_id"))
"""Fields of log lines: with several workers, and of a request that is traced."""


def admin(path: str) -> Asks:
    def ask(site: Site) -> Any:
        with site.client() as client:
            return answer_of(client.get(path))

    return ask


def refused(**fields: Any) -> Asks:
    """What a request with these fields is answered, which must not be well."""

    def ask(site: Site) -> Any:
        response = httpx2.post(f"{site.address}/v1/chat/completions", json={**ASKED, **fields})
        assert response.status_code >= 400
        return response.json()

    return ask


def refused_by_a_limit(site: Site) -> Any:
    """What the second request of a key gets that may have one a minute."""
    with site.client() as client:
        key = answer_of(client.post("/admin/keys", json={"name": "one", "requests_per_minute": 1}))["key"]
        asked = [client.post("/v1/chat/completions", json=ASKED, headers=bearer(key)) for _ in range(2)]
    assert [response.status_code for response in asked] == [200, 429]
    return asked[1].json()


def refused_by_a_budget(site: Site) -> Any:
    """What a key gets whose budget pays for nothing."""
    with site.client() as client:
        key = answer_of(client.post("/admin/keys", json={"name": "poor", "budget_usd": "0.000001"}))["key"]
        refused = client.post("/v1/chat/completions", json=ASKED, headers=bearer(key))
    assert refused.status_code == 429
    return refused.json()


def logged(event: str, **wanted: Any) -> Asks:
    """The line of the log for such an event, which other tests of the page's service may have made as well."""

    def ask(site: Site) -> Any:
        known = site.known()
        with site.client() as client:
            if event == "admin":
                answer_of(client.patch(f"/admin/keys/{known['key']}", json={"budget_usd": "5"}))
            else:
                streamed = {**ASKED, "stream": True, "model": "fast", "temperature": 0.123}
                client.post("/v1/chat/completions", json=streamed, headers=bearer(known["secret"]))

        def line() -> Any:
            found = [one for one in site.service.log() if one["event"] == event and wanted.items() <= one.items()]
            return found and found[-1]

        return wait_until(line)

    return ask


NO_ADDRESS = [{"role": "user", "content": "Hi"}] * 2 + [
    {"role": "user", "content": [{"type": "image_url", "image_url": {}}]}
]
ANSWERS: Final[Mapping[tuple[str, str], Asks]] = MappingProxyType(
    {
        ("docs/cache.md", "store"): admin("/admin/cache"),
        ("docs/errors.md", "error"): refused(temperature="hot"),
        ("docs/events.md", "step_s"): admin("/admin/metrics?window_s=900&step_s=10"),
        ("docs/limits.md", "error"): refused_by_a_limit,
        ("docs/limits.md", "data"): admin("/admin/limits"),
        ("docs/logs.md", "worker"): logged("request", stream=True, model="fast", cache="miss"),
        ("docs/logs.md", "act"): logged("admin", act="PATCH /admin/keys/{id}"),
        ("docs/quickstart.md", "error"): refused_by_a_budget,
        ("docs/validation.md", "error"): refused(messages=NO_ADDRESS),
    }
)
"""By page and a field of the documented answer that no other answer of the page has."""


def message_of_a_long_prompt(site: Site) -> str:
    long = {"model": "openrouter/openai/gpt-4o-mini", "messages": [{"role": "user", "content": "word " * 140_000}]}
    return str(refused(**long)(site)["error"]["message"])


def first_event(site: Site) -> str:
    """What `/admin/events` says until it has told of a request."""
    lines: list[str] = []
    with site.client() as client, client.stream("GET", "/admin/events?kinds=request") as told:
        for line in told.iter_lines():
            lines.append(line)
            if line.startswith("retry"):
                answer_of(httpx2.post(f"{site.address}/v1/chat/completions", json=ASKED))
            if line.startswith("data"):
                return "\n".join(lines)
    raise AssertionError("the stream of events has ended")


def banner_of_a_service(_: Site) -> str:
    with TemporaryDirectory() as folder, child(place(Path(folder)), "serve", "--port", "0") as started:
        return started.out.until_said("SANDBOX")


TEXTS: Final[Mapping[tuple[str, str], Callable[[Site], str]]] = MappingProxyType(
    {
        ("docs/events.md", "retry: "): first_event,
        ("docs/quickstart.md", "llm-service on "): banner_of_a_service,
        ("docs/validation.md", "The prompt has about "): message_of_a_long_prompt,
    }
)
"""What pages show that a program says: by page and how it begins."""


def form_of(text: str) -> list[str]:
    """Its lines without what differs each time: addresses, ids, moments, numbers, names in code."""
    for what in (r"http://[^\s)]+", r"\b(req|key|str)_\w+", r"\d{4}-\d\d-\d\dT[\d:.]+Z", r"`[^`]*`", r"\d[\d,.]*"):
        text = re.sub(what, "#", text)
    return text.strip().splitlines()


def said_otherwise(documented: str, real: str) -> list[str]:
    """The lines of a page, as far as each goes (``...``), that the program does not say in their place."""
    pairs = zip_longest(form_of(documented), form_of(real), fillvalue="")
    return [told for told, said in pairs if told and not said.startswith(told.partition("...")[0])]


def asks_of(block: Block, documented: Any) -> Asks | None:
    """How to have the service give such an answer; None where nobody says how."""
    found = [asks for (page, field), asks in ANSWERS.items() if page == block.page and field in documented]
    return found[0] if found else None


def parsed(block: Block) -> Any:
    """AssertionError where it is no JSON."""
    try:
        return orjson.loads(block.text)
    except orjson.JSONDecodeError as error:
        raise AssertionError(f"{block.place}: this is no JSON: {error}") from error


def unlike(documented: Any, real: Any, path: str = "$") -> list[str]:
    """Where the two differ in fields or types. What either leaves empty or unknown tells nothing."""
    if documented is None or real is None:
        return []
    if isinstance(documented, dict) and isinstance(real, dict):
        differing = documented.keys() - real.keys() if path.rpartition(".")[2] in SOME_OF else documented.keys() ^ real
        wrong = sorted(differing - SOMETIMES)
        told = [f"{path}.{name}: {'not in the answer' if name in documented else 'not on the page'}" for name in wrong]
        for name in documented.keys() & real.keys():
            told += unlike(documented[name], real[name], f"{path}.{name}")
        return told
    if isinstance(documented, list) and isinstance(real, list):
        return [line for one in documented for line in (unlike(one, real[0], f"{path}[]") if real else ())]
    kinds = [kind_of(value) for value in (documented, real)]
    return [] if kinds[0] == kinds[1] else [f"{path}: {kinds[0]} on the page, {kinds[1]} in the answer"]


def kind_of(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
