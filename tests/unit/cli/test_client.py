"""``models`` and ``chat`` in front of servers that behave, that refuse, and that are something else altogether."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from typer.testing import Result

from llm_service.cli.client import Server, Unanswered, model_cells
from tests.support.raw_server import read_request, serving
from tests.unit.cli.conftest import Command

MODELS = orjson.dumps({"object": "list", "data": [{"id": "first"}, {"id": "second"}]})
Script = Callable[[bytes], bytes]


class Scripted:
    """A server that answers each request by a function, and remembers the requests."""

    def __init__(self, script: Script) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self.address = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        self.requests.append(request)
        writer.write(self._script(request))
        await writer.drain()

    def body(self, number: int) -> dict[str, object]:
        body: dict[str, object] = orjson.loads(self.requests[number].partition(b"\r\n\r\n")[2])
        return body


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Scripted]:
    server = Scripted(script)
    async with serving(server.handle) as server.address:
        yield server


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def streamed(body: bytes) -> bytes:
    return http(body, 200, "content-type: text/event-stream; charset=utf-8")


def event(content: str) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}) + b"\n\n"


def says(*words: str) -> Script:
    """A service that knows two models and streams these words."""
    stream = b": keep-alive\n" + b"".join(map(event, words)) + b"data: [DONE]\n\n"
    return lambda request: http(MODELS) if request.startswith(b"GET /v1/models") else streamed(stream)


async def run(command: Command, server: Scripted, *arguments: str, stdin: str = "", **variables: str) -> Result:
    """A command beside the loop that serves it."""
    name, *others = arguments
    return await asyncio.to_thread(command, name, "--url", server.address, *others, stdin=stdin, **variables)


async def test_the_first_model_of_the_list_answers_when_none_is_named(command: Command) -> None:
    async with scripted(says("Good ", "day.")) as server:
        answered = await run(command, server, "chat", "hello", "there")
    assert (answered.exit_code, answered.output) == (0, "Good day.\n")
    assert server.body(1) == {
        "model": "first",
        "messages": [{"role": "user", "content": "hello there"}],
        "stream": True,
    }


async def test_a_conversation_sends_what_was_said_before(command: Command) -> None:
    async with scripted(says("Yes.")) as server:
        talked = await run(command, server, "chat", "-m", "second", "--system", "Be brief.", stdin="one\n \ntwo\n")
    assert (talked.exit_code, talked.output) == (0, "Yes.\nYes.\n")
    assert server.body(1)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "two"},
    ]


@pytest.mark.parametrize(("options", "variables"), [(("--key", "given"), {}), ((), {"LLM_SERVICE_KEY": " given\n"})])
async def test_the_key_is_sent_from_the_option_or_the_variable(
    command: Command, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    async with scripted(says()) as server:
        await run(command, server, "models", *options, **variables)
    assert b"\r\nauthorization: Bearer given\r\n" in server.requests[0]


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_be_that_which_client_libraries_want(command: Command, ending: str) -> None:
    async with scripted(says()) as server:
        listed = await asyncio.to_thread(command, "models", "--url", server.address + ending)
    assert (listed.exit_code, listed.output) == (0, "first\nsecond\n")


ERROR = orjson.dumps({"error": {"message": "Not now.", "code": "overloaded"}, "request_id": "req_1"})
FAILURES = {
    "an error of the service": (http(ERROR, 503), "overloaded: Not now. (request req_1)"),
    "an error in the stream": (streamed(event("Well") + b"data: " + ERROR + b"\n\n"), "overloaded: Not now."),
    "a page": (http(b"<html>"), "not_understood: "),
    "a page that says that something failed": (http(b"<html>", 502), "not_understood: "),
    "another form of error": (http(b'{"detail": "no"}', 400), "not_understood: "),
    "JSON that is no object": (http(b"[]", 500), "not_understood: "),
    "a redirect": (http(b"", 307, "location: http://127.0.0.1:1/"), "not_understood: "),
    "an answer that breaks off": (streamed(event("Well"))[:-9], "connection_lost: "),
    "a stream without an end": (streamed(event("Well")), "connection_lost: "),
    "no answer": (b"", "connection_lost: "),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "connection_lost: "),
}


@pytest.mark.parametrize(("answer", "reason"), FAILURES.values(), ids=list(FAILURES))
async def test_every_failure_is_said_in_a_line(command: Command, answer: bytes, reason: str) -> None:
    async with scripted(lambda _: answer) as server:
        failed = await run(command, server, "chat", "-m", "first", "hello")
    assert failed.exit_code == 1
    assert reason in failed.stderr
    assert failed.stderr.count("\n") == 1


async def test_failures_are_json_for_programs(command: Command) -> None:
    async with scripted(lambda _: http(ERROR, 503)) as server:
        failed = await run(command, server, "models", "--json")
    assert (failed.exit_code, failed.stderr) == (1, "")
    assert orjson.loads(failed.stdout) == {
        "error": {"message": "Not now.", "code": "overloaded"},
        "request_id": "req_1",
    }


async def test_a_list_of_models_that_is_none_is_not_understood(command: Command) -> None:
    async with scripted(lambda _: http(b'{"data": 3}')) as server:
        failed = await run(command, server, "models")
    assert failed.stderr.startswith("not_understood: ")


async def test_a_service_without_models_wants_one_named(command: Command) -> None:
    async with scripted(lambda _: http(b'{"data": []}')) as server:
        failed = await run(command, server, "chat", "hello")
    assert (failed.exit_code, "--model" in failed.stderr) == (1, True)


async def test_a_failure_ends_a_conversation_from_a_pipe(command: Command) -> None:
    async with scripted(lambda _: http(ERROR, 503)) as server:
        failed = await run(command, server, "chat", "-m", "first", stdin="one\ntwo\n")
    assert (failed.exit_code, len(server.requests)) == (1, 1)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "localhost:8080", "http://", "ftp://127.0.0.1", "http://[::1", "http://h:x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Unanswered, match=r"invalid_url: .* is no address of a service"):
        Server.at(url, None)


def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(command: Command) -> None:
    refused = command("models", "--key", "sk-test\r\nx: y")
    assert refused.exit_code == 1
    assert refused.stderr == "invalid_api_key: The key holds characters that no header can carry.\n"


def test_a_model_is_a_row_of_what_its_provider_tells() -> None:
    known = {
        "id": "openrouter/a/b",
        "context_length": 128_000,
        "max_output_tokens": 16_384,
        "pricing_usd_per_million": {"input": "2.5", "output": "10"},
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "deprecated": True,
        "expires_on": "2027-01-31",
    }
    assert model_cells(known) == (
        "openrouter/a/b", "128000", "16384", "2.5/10", "text image", "text", "leaves on 2027-01-31",
    )  # fmt: skip
    assert model_cells({"id": "ollama/m", "deprecated": True}) == ("ollama/m", "-", "-", "-", "-", "-", "deprecated")


async def test_the_details_of_models_are_a_table(command: Command) -> None:
    async with scripted(says()) as server:
        shown = await run(command, server, "models", "--details")
    head, first, second = shown.stdout.splitlines()
    assert (shown.exit_code, head.split()[:3]) == (0, ["model", "context", "output"])
    assert [first.split()[0], second.split()[0]] == ["first", "second"]


NOT_FOUND = http(
    orjson.dumps({"error": {"code": "not_found", "message": "Nothing is here."}, "request_id": "req_a"}), 404
)


def with_operators_at(port: int | None) -> Script:
    """A service without an address of operators, whose health says where that is."""
    health = http(orjson.dumps({"status": "ok", "admin_port": port}))
    return lambda request: health if request.startswith(b"GET /health ") else NOT_FOUND


async def test_who_asks_the_callers_port_what_operators_ask_hears_of_theirs(command: Command) -> None:
    async with scripted(with_operators_at(8081)) as server:
        asked = await run(command, server, "limits")
    assert (asked.exit_code, asked.stderr) == (
        1,
        "not_found: The service answers operators at a port of its own: --url http://127.0.0.1:8081.\n",
    )


async def test_what_is_not_found_at_the_port_of_operators_is_told_as_it_is(command: Command) -> None:
    async with scripted(with_operators_at(None)) as server:
        asked = await run(command, server, "limits", "--key-id", "key_gone")
    assert (asked.exit_code, asked.stderr) == (1, "not_found: Nothing is here. (request req_a)\n")
