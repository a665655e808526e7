"""``models``, ``limits``, ``cache`` and ``chat``: a small client of a running service."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson

from llm_service.cli.output import print_json, print_table
from llm_service.domain import fact_in_order

CONNECT_S: Final = 5
LONGEST_LINE_BYTES: Final = 16 * 1024 * 1024
CONTROLS: Final = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))
"""What an answer must not do to a terminal: everything but text, tabs and line ends."""


class Unanswered(Exception):
    """No answer came; ``body`` says so in the form of the service's own errors."""

    def __init__(self, code: str, message: str, *, request_id: str | None = None) -> None:
        super().__init__(f"{code}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.code = code
        self.body = {"error": {"message": message, "code": code}, "request_id": request_id}


MODEL_COLUMNS: Final = ("model", "context", "output", "USD in/out", "takes", "gives", "remarks")


def show_models(url: str, *, key: str | None, details: bool, as_json: bool) -> int:
    """List the models, with what is known of them or by name alone; the exit code."""
    try:
        models = asyncio.run(Server.at(url, key).models())
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    if as_json:
        print_json(models)
    elif details:
        print_table(MODEL_COLUMNS, [model_cells(model) for model in models], right=("context", "output"))
    else:
        print("\n".join(model["id"] for model in models))
    return 0


def model_cells(model: Mapping[str, Any]) -> tuple[str, ...]:
    """A model as a row of the table; a dash where its provider says nothing."""
    price = model.get("pricing_usd_per_million") or {}
    leaves = model.get("expires_on")
    return (
        str(model["id"]).translate(CONTROLS),
        str(model.get("context_length", "-")),
        str(model.get("max_output_tokens", "-")),
        f"{price['input']}/{price['output']}" if {"input", "output"} <= price.keys() else "-",
        " ".join(model.get("input_modalities", ())).translate(CONTROLS) or "-",
        " ".join(model.get("output_modalities", ())).translate(CONTROLS) or "-",
        f"leaves on {leaves}" if leaves else "deprecated" if model.get("deprecated") else "",
    )


def converse(url: str, *, key: str | None, model: str | None, system: str | None, prompt: str, as_json: bool) -> int:
    """One question, or a conversation until the input ends; the exit code.

    Nothing runs between two questions, so that Ctrl-C at the prompt needs nobody's help.
    """
    messages = [{"role": "system", "content": system}] if system else []
    try:
        server = Server.at(url, key)
        model = model or asyncio.run(server.first_model())
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    for question in [prompt] if prompt else questions():
        messages.append({"role": "user", "content": question})
        try:
            answer = asyncio.run(server.answer({"model": model, "messages": messages}, as_json=as_json))
        except Unanswered as unanswered:
            code = complain(unanswered, as_json=as_json)
            if prompt or not sys.stdin.isatty():
                return code
            messages.pop()  # who sits there may ask again
        else:
            messages.append({"role": "assistant", "content": answer})
    return 0


def questions() -> Iterator[str]:
    """A line each, from a terminal or a pipe; empty ones ask nothing."""
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            question = input(prompt).strip()
        except EOFError:
            return
        if question:
            yield question


def complain(unanswered: Unanswered, *, as_json: bool) -> int:
    """Say why there is no answer; the exit code."""
    if as_json:
        print_json(unanswered.body)
    else:
        print(unanswered, file=sys.stderr)
    return 1


@fact_in_order
class Server:
    """A service somewhere, and the key that it wants."""

    url: str
    key: str | None

    @classmethod
    def at(cls, url: str, key: str | None) -> "Server":
        """The service at an address, with or without the ``/v1`` that client libraries want. Raises Unanswered."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise Unanswered("invalid_url", f"{url} is no address of a service; one is http://127.0.0.1:8080.")
        key = key.strip() if key else None
        if key and not key.isprintable():
            raise Unanswered("invalid_api_key", "The key holds characters that no header can carry.")
        return cls(url.rstrip("/").removesuffix("/v1"), key)

    async def models(self) -> list[dict[str, Any]]:
        """What the service lists."""
        async with self._response("GET", "/v1/models") as response:
            models = decoded(await response.read()).get("data")
        if not isinstance(models, list):
            raise not_understood()
        return models

    async def read(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        """The object at an address, asked for with these parameters."""
        return await self._object("GET", path, wanted)

    async def delete(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        """What the service says when what these parameters name is deleted."""
        return await self._object("DELETE", path, wanted)

    async def _object(self, method: str, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        query = f"?{urlencode(wanted)}" if wanted else ""
        async with self._response(method, path + query) as response:
            return decoded(await response.read())

    async def events(
        self, path: str, wanted: Mapping[str, str], *, silent_s: float
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Server-sent events as kind and data, until the service ends them.

        Raises Unanswered: also for the event ``error``, and when nothing comes for ``silent_s``.
        """
        async with self._response("GET", f"{path}?{urlencode(wanted)}", silent_s=silent_s) as response:
            if response.content_type != "text/event-stream":
                raise not_understood()
            kind = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    data = decoded(line[6:])
                    if kind == "error":
                        raise refusal(data)
                    yield kind, data

    async def first_model(self) -> str:
        """The first that it lists."""
        models = await self.models()
        if not models:
            raise Unanswered("model_not_found", "The service lists no model; name one with --model.")
        return str(models[0]["id"])

    async def answer(self, request: dict[str, Any], *, as_json: bool) -> str:
        """Print the answer, as it comes or whole as JSON; its text."""
        if as_json:
            async with self._response("POST", "/v1/chat/completions", request) as response:
                body = decoded(await response.read())
            print_json(body)
            return str(body["choices"][0]["message"]["content"] or "")
        said: list[str] = []
        try:
            async for text in self._stream({**request, "stream": True}):
                said.append(text)
                print(text.translate(CONTROLS) if sys.stdout.isatty() else text, end="", flush=True)
        finally:
            if said:
                print()
        return "".join(said)

    async def _stream(self, request: dict[str, Any]) -> AsyncIterator[str]:
        async with self._response("POST", "/v1/chat/completions", request) as response:
            if response.content_type != "text/event-stream":
                raise not_understood()
            async for line in response.content:
                if line.startswith(b"data: [DONE]"):
                    return
                if not line.startswith(b"data: "):
                    continue
                chunk = decoded(line[6:])
                if chunk.get("error"):
                    raise refusal(chunk)
                for choice in chunk["choices"]:
                    yield choice["delta"].get("content") or ""
            raise self._lost("no end")

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Any = None, *, silent_s: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silent_s)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=LONGEST_LINE_BYTES) as session,
                session.request(method, self.url + path, json=body, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    refused = refusal(decoded(await response.read()))
                    if refused.code == "not_found" and path.startswith("/admin/"):
                        refused = await self._at_other_port(session) or refused
                    raise refused
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            said = f"No service answers at {self.url}: start one with `llm-service serve`, or name it with --url."
            raise Unanswered("not_reachable", said) from None
        except aiohttp.ClientError as error:
            raise self._lost(error) from None

    async def _at_other_port(self, session: aiohttp.ClientSession) -> Unanswered | None:
        """That operators have a port of their own (``server.admin_port``), where that is so and it is not this one."""
        async with session.get(f"{self.url}/health", allow_redirects=False) as response:
            port = decoded(await response.read()).get("admin_port")
        parts = urlsplit(self.url)
        if port is None or port == parts.port:
            return None
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        said = f"The service answers operators at a port of its own: --url {parts.scheme}://{host}:{port}."
        return Unanswered("not_found", said)

    def _lost(self, why: object) -> Unanswered:
        return Unanswered("connection_lost", f"{self.url} broke off its answer ({why}).")


def decoded(body: bytes) -> dict[str, Any]:
    """The body as an object. Raises Unanswered when something else answers at this address."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise not_understood()
    return found


def refusal(body: dict[str, Any]) -> Unanswered:
    """The service's own error."""
    error = body.get("error")
    if not isinstance(error, dict):
        return not_understood()
    return Unanswered(str(error.get("code")), str(error.get("message")), request_id=body.get("request_id"))


def not_understood() -> Unanswered:
    """Something else than this service has answered."""
    return Unanswered("not_understood", "The answer cannot be understood; is this an llm-service?")
