"""Ten thousand wrong requests: each is told that it is, none breaks anything, hangs, or brings a secret out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from random import Random

import pytest

from llm_service.api import AuthOptions, ServerOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.sandbox import Sandbox
from tests.support.contract import loaded, mistakes_of_error, mistakes_of_graphql, mistakes_of_stream
from tests.support.malformed_bodies import PROMPT
from tests.support.malformed_framing import left, pipelined, refused, too_much, torn
from tests.support.malformed_requests import GOOD_BODY, KEPT, Sent, a_request, right_headers
from tests.support.rest import Answer, Connection, connected
from tests.support.service import CREDENTIAL, Running, running, simulated
from tests.support.waiting import until

ADMIN_KEY = "sk-test-admin-c83a51f60e2d"
LONGEST_ANSWER_S = 10
SHARDS, ON_KEPT, ON_OWN, AT_ONCE = 10, 900, 100, 10
FULL_SHARDS = 200
FRAMINGS: Sequence[Callable[[Random], Sent]] = (refused, pipelined, torn, left, too_much)


@pytest.fixture
async def gateway(sandbox: Sandbox, seed: int) -> AsyncIterator[Running]:
    """Every second one answers hot routes the plain way of ASGI."""
    settings = Settings(
        server=ServerOptions(max_body_bytes=200_000, fast_lane=seed % 2 == 0),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY)),
        providers=simulated(sandbox.address, connect_s=2, first_chunk_s=8, idle_s=8, total_s=8),
        models={"fast": ModelOptions(deployments=(DeploymentOptions(provider="plain", model="sandbox/chat"),))},
    )
    async with running(settings) as service:
        yield service


@pytest.fixture
def problems(gateway: Running, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What a test found; at its end it is empty, and no log tells of a defect or a secret."""
    caplog.set_level(logging.WARNING)
    found: list[str] = []
    yield found
    assert found[:20] == []
    logged = repr(gateway.log.lines) + caplog.text
    assert [line for line in gateway.log.lines if line["level"] == "error"] == []
    assert caplog.records == []
    assert [secret for secret in (CREDENTIAL, ADMIN_KEY, PROMPT) if secret in logged] == []


def shards() -> list[object]:
    seldom = [pytest.param(seed, marks=pytest.mark.full) for seed in range(SHARDS, FULL_SHARDS)]
    return [*range(SHARDS), *seldom]


@pytest.mark.parametrize("seed", shards())
async def test_wrong_requests_on_connections_that_go_on(gateway: Running, problems: list[str], seed: int) -> None:
    random = Random(seed)
    sent = [random.choice(KEPT)(random) for _ in range(ON_KEPT)]
    while sent:
        async with connected(gateway.address) as connection:
            while sent:
                one = sent.pop()
                answer = await answered(connection, one)
                problems += [f"{problem}, to {one.data[:3000]!r}" for problem in problems_of(answer, one)]
                if answer.headers.get("connection") == "close":
                    break


@pytest.mark.parametrize("seed", shards())
async def test_wrong_framings_on_connections_of_their_own(gateway: Running, problems: list[str], seed: int) -> None:
    random = Random(seed)
    for _ in range(ON_OWN // AT_ONCE):
        several = [random.choice(FRAMINGS)(random) for _ in range(AT_ONCE)]
        told = await asyncio.gather(*(problems_with(gateway.address, one) for one in several))
        for one, found in zip(several, told, strict=True):
            problems += [f"{problem}, to {one.data[:3000]!r}" for problem in found]
    async with connected(gateway.address) as connection:
        right = Sent(a_request("POST", "/v1/chat/completions", right_headers(GOOD_BODY), GOOD_BODY))
        assert (await answered(connection, right)).status == 200
    await until(lambda: not gateway.service.tasks)


async def answered(connection: Connection, sent: Sent) -> Answer:
    connection.writer.write(sent.data)
    async with asyncio.timeout(LONGEST_ANSWER_S):
        return await next_answer(connection, sent)


async def next_answer(connection: Connection, sent: Sent) -> Answer:
    """The next answer that is not merely an encouragement (status 100)."""
    answer = None
    while answer is None or answer.status == 100:
        answer = Answer(*await connection.head(), b"") if sent.method == "HEAD" else await connection.answer()
    return answer


async def problems_with(address: str, sent: Sent) -> list[str]:
    """Talk on a connection of its own, until the service ends it, or all has been answered, or the client leaves."""
    answers: list[Answer] = []
    ended = False
    try:
        async with connected(address) as connection, asyncio.timeout(sent.leaves_after_s or LONGEST_ANSWER_S):
            connection.writer.write(sent.data)
            while sent.ends or len(answers) < sent.answers:
                answers.append(await next_answer(connection, sent))
    except (asyncio.IncompleteReadError, ConnectionError):
        ended = True
    except TimeoutError:
        if not sent.leaves_after_s:
            return [f"hangs after {len(answers)} answers"]
    if ended and not sent.leaves_after_s and (not answers or answers[-1].status == 200):
        return [f"ended without a word of refusal after {len(answers)} answers"]
    return [problem for answer in answers for problem in problems_of(answer, sent)]


def problems_of(answer: Answer, sent: Sent) -> Iterator[str]:
    """An answer is a refusal in the contract's form, or a right answer to what was no mistake after all."""
    shown = repr(answer)
    yield from (f"{answer.status} shows a secret" for secret in (CREDENTIAL, ADMIN_KEY) if secret in shown)
    if not (answer.status == 200 or 400 <= answer.status < 500):
        yield f"status {answer.status}: {answer.body[:300]!r}"
    elif sent.method == "HEAD":
        return
    elif answer.status != 200:
        told = loaded(answer.body)
        of_graphql = isinstance(told, dict) and "errors" in told and b"/graphql" in sent.data
        yield from (mistakes_of_graphql if of_graphql else mistakes_of_error)(told, status=answer.status)
    elif answer.headers["content-type"].startswith("text/event-stream"):
        yield from mistakes_of_stream(answer)
    elif b'"error":' in answer.body[:100]:
        yield f"an error under status 200: {answer.body[:300]!r}"
