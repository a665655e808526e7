"""What is sent to wear the service out is refused at once, with little work, and with an error that says why."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
import pytest
import pytest_asyncio

from llm_service.config import Settings
from llm_service.sandbox import Sandbox
from tests.support.graphql import ADDRESS, CHAT, STREAM, chat_input, post, socket_to
from tests.support.rest import ask
from tests.support.service import Running, running, simulated
from tests.support.timed import within

MOST_MS: Final = 50
CIRCLE = "fragment A on Query { ...B } fragment B on Query { ...A } { ...A }"


def many(form: str, count: int) -> str:
    """The form so many times, each with its number."""
    return " ".join(form.replace("#", str(number)) for number in range(count))


TOO_COMPLEX, INVALID = "document_too_complex", "invalid_document"

BOMB = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(30))
BOMB += "fragment F30 on Query { x: me { keyId } } { ...F0 }"
DOCUMENTS = {
    "1,000 levels": ("{ me " * 1000 + "}" * 1000, {TOO_COMPLEX}),
    "300 levels of a type that goes round": ("{ __schema " + "{ types " * 300 + "}" * 301, {TOO_COMPLEX}),
    "1,000 levels of a list value": ('{ model(id: ' + "[" * 1000 + "]" * 1000 + ") { id } }", {TOO_COMPLEX}),
    "10,000 aliases": ("{" + many("a#: me { keyId }", 10_000) + "}", {TOO_COMPLEX}),
    "40 aliases": ("{" + many("a#: me { keyId }", 40) + "}", {TOO_COMPLEX}),
    "aliases by fragments": ("{" + "...A " * 20 + "} fragment A on Query { a: me { x: keyId } }", {TOO_COMPLEX}),
    "aliases that double with each fragment": (BOMB, {TOO_COMPLEX}),
    "fragments in a circle": (CIRCLE, {INVALID}),
    "a fragment of itself": ("fragment A on Query { me { keyId } ...A } { ...A }", {INVALID}),
    "500 fragments": (many("fragment F# on Query { me { keyId } }", 500) + "{ ...F1 }", {TOO_COMPLEX}),
    "100 fragments": (many("fragment F# on Query { me { keyId } }", 100) + "{ ...F1 }", {TOO_COMPLEX}),
    "the same field 10,000 times": ("{ me { " + "keyId " * 10_000 + "} }", {TOO_COMPLEX}),
    "the same leaf 900 times": ("{ me { " + "keyId " * 900 + "} }", {TOO_COMPLEX}),
    "the same field with fields 200 times": ("{ " + "me { keyId } " * 200 + "}", {TOO_COMPLEX}),
    "the same field in 100 inline fragments": ("{ " + "... on Query { me { keyId } } " * 90 + "}", {TOO_COMPLEX}),
    "the same field in 30 fragments": ("{ ...F0 ...F1 ...F2 ...F3 } " + many("fragment F# on Query {"
                                       + " me { keyId }" * 9 + " } ", 4), {TOO_COMPLEX}),
    "the same field 200 times where nothing uses it": ("{ me { keyId } } fragment F on Query { " + "me { keyId } " * 200
                                                       + "}", {TOO_COMPLEX}),
    "a circle that nothing uses": ("{ me { keyId } } fragment A on Query { ...A }", {INVALID}),
    "a document of 1 MB": ("{ me { keyId } } #" + "x" * 1_000_000, {TOO_COMPLEX}),
    "60,000 comments": ("#\n" * 30_000 + "{ me { keyId } }", {TOO_COMPLEX}),
    "300 directives": ("{ me { keyId " + "@skip(if: false) " * 150 + "} }", {TOO_COMPLEX, INVALID}),
    "the same directive twice": ("{ me { keyId @skip(if: false) @skip(if: false) } }", {INVALID}),
    "unknown directives": ("{ me " + "@nothing " * 60 + "{ keyId } }", {INVALID}),
    "300 near misses of a name": ("{ " + many("generation#x", 300) + "}", {INVALID}),
    "300 unknown names": ("{ " + many("generationz#", 300) + "}", {INVALID}),
    "100 operations": (many("query Q# { me { keyId } }", 90), {TOO_COMPLEX}),
    "a dear list": ("{ keys(first: 1000) { edges { node { usage { requests } a: usage { cost } b: usage { cost }"
                    " c: usage { cost } d: usage { cost } } } } }", {TOO_COMPLEX}),
    "all that models tell, 30 times": ("{ " + many("a#: models { id name provider ownedBy createdAt name }", 30)
                                       + " }", {TOO_COMPLEX}),
    "lists in lists": ("{ " + many("a#: providers { models { price { input } } }", 3) + " }", {TOO_COMPLEX}),
    "the schema five times": ("{ " + many("a#: __schema { types { name } }", 5) + " }", {TOO_COMPLEX}),
    "a list of lists by introspection": ("{ __schema { types { fields { type { fields { type { fields { type { fields {"
                                         " name } } } } } } } } } }", {INVALID}),
    "a number of 5,000 digits": ("{ keys(first: " + "9" * 5000 + ") { edges { cursor } } }", {INVALID}),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Running]:
    sandbox = Sandbox(seed=0, pace_s=0.0)
    await sandbox.start()
    async with running(Settings(providers=simulated(sandbox.address))) as service:
        await post(service.address, "{ me { keyId } }")  # the door is built
        yield service
    await sandbox.aclose()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def busy_ms(gateway: Running, body: bytes) -> tuple[Any, float]:
    """The answer, and the processor's time that it took; the least of a few tries, since the machine is shared."""
    least = float("inf")
    for _ in range(4):
        begun = time.process_time()
        answer = await ask(gateway.address, "POST", ADDRESS, body)
        least = min(least, (time.process_time() - begun) * 1000)
    return answer, least


@pytest.mark.timed
@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_document_is_refused_with_little_work(gateway: Running, name: str) -> None:
    document, codes = DOCUMENTS[name]
    answer, took_ms = await busy_ms(gateway, orjson.dumps({"query": document}))
    told = answer.json()
    assert answer.status == 400
    assert {error["extensions"]["code"] for error in told["errors"]} <= codes
    assert len(told["errors"]) <= 6
    assert len(answer.body) < 16_384
    assert "data" not in told
    within(took_ms, MOST_MS)
    assert not gateway.log.of("defect")


@pytest.mark.timed
@pytest.mark.parametrize(
    "value",
    [[{"role": "USER"}] * 10_000, {str(number): None for number in range(10_001)}, [[[0] * 101] * 10] * 10],
    ids=["messages", "members", "lists in lists"],
)
async def test_variables_of_many_values_are_refused_with_little_work(gateway: Running, value: Any) -> None:
    asked = {"query": CHAT, "variables": {"input": {**chat_input(), "messages": value}}}
    half = {**asked, "variables": {"input": {**chat_input(), "messages": [0] * 5_000}}}
    for body in (asked, [half, half]):
        answer, took_ms = await busy_ms(gateway, orjson.dumps(body))
        (error,) = answer.json()["errors"]
        assert (answer.status, error["extensions"]["code"]) == (400, TOO_COMPLEX)
        within(took_ms, MOST_MS)


@pytest.mark.timed
async def test_a_batch_of_a_thousand_is_refused_with_little_work(gateway: Running) -> None:
    answer, took_ms = await busy_ms(gateway, orjson.dumps([{"query": "{ me { keyId } }"}] * 1000))
    (error,) = answer.json()["errors"]
    assert (answer.status, error["extensions"]["code"]) == (400, "document_too_complex")
    within(took_ms, MOST_MS)


async def test_a_batch_that_is_dear_together_is_refused(gateway: Running) -> None:
    one = {"query": "{ keys(first: 1000) { edges { node { usage { cost } } } } }"}
    answer = await ask(gateway.address, "POST", ADDRESS, orjson.dumps([one, one]))
    assert answer.json()["errors"][0]["extensions"]["code"] == "document_too_complex"


async def test_the_cost_goes_by_variables_too(gateway: Running) -> None:
    query = "query ($n: Int = 1000) { " + " ".join(
        f"a{at}: keys(first: $n) {{ edges {{ node {{ usage {{ cost }} }} }} }}" for at in range(3)
    ) + " }"  # fmt: skip
    codes = []
    for variables in ({}, {"n": 1000}, {"n": 1000.0}, {"n": 10}, {"n": "x"}, {"n": None}, {"n": -5}):
        told = (await post(gateway.address, query, variables)).json()
        codes.append(told["errors"][0]["extensions"]["code"] if "errors" in told else "ok")
    assert codes == [TOO_COMPLEX, TOO_COMPLEX, TOO_COMPLEX, "ok", TOO_COMPLEX, "ok", "invalid_value"]


async def test_abuse_leaves_no_memory_behind(gateway: Running) -> None:
    bodies = [orjson.dumps({"query": document}) for document, _ in DOCUMENTS.values()]
    for body in bodies:
        await ask(gateway.address, "POST", ADDRESS, body)
    tracemalloc.start()
    try:
        for _ in range(3):
            for body in bodies:
                await ask(gateway.address, "POST", ADDRESS, body)
        most_bytes = tracemalloc.get_traced_memory()[1]
        gc.collect()
        kept_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1_000_000
    assert most_bytes < 40_000_000


async def test_what_is_sent_often_is_parsed_once_and_bounded(gateway: Running) -> None:
    for number in range(600):
        await post(gateway.address, "{ me { keyId } } # " + "x" * 1000 + str(number))
    site: Any = gateway.service.app._graphql._site
    documents = site._engine._documents
    assert documents._kept_chars == sum(map(len, documents._kept)) <= 256 * 1024


async def test_a_flood_over_a_socket_is_refused_one_by_one(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        slow = chat_input("plain/sandbox/stall-head")
        for number in range(300):
            await socket.subscribe(STREAM, {"input": slow}, name=str(number))
        refused = [await socket.receive() for _ in range(200)]
        assert {message["type"] for message in refused} == {"error"}
        dear = "{ keys(first: 1000) { edges { node { a: usage { cost } b: usage { cost } c: usage { cost } } } } }"
        for document in ("{ " * 1000, dear):
            await socket.send(id="1000", type="subscribe", payload={"query": document})
            assert (await socket.receive())["payload"][0]["extensions"]["code"] == TOO_COMPLEX
