"""Every failure of a simulated provider before its first content, and what routing makes of it: one table."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llm_service.bootstrap.providers import build_provider
from llm_service.domain import Candidate, LLMServiceError, UpstreamError, chat_request
from llm_service.providers import UpstreamCall
from llm_service.routing import is_deployments_fault, may_fall_back, may_retry
from llm_service.sandbox import Sandbox
from tests.support.behaviours import MODELS
from tests.support.clock import ManualClock
from tests.support.rest import ASKED
from tests.support.service import simulated
from tests.support.upstream import failed
from tests.support.waiting import until

LONG_S = 1000.0

# The behaviour, at which providers (and form of the answer: W whole, S stream) where it is not the same everywhere;
# the error; whether the same deployment may be asked again; where else; whether the breaker counts it;
# seconds to wait, if they are told; (final): the caller is told that trying again is of no use.
TABLE = """
drop                            UpstreamError           retry failure  fault
drop-reset                      UpstreamError           retry failure  fault
cut-head                        UpstreamError           retry failure  fault
cut-after-0                     UpstreamError           retry failure  fault
cut-inside-0                    UpstreamError           retry failure  fault
reset-after-0                   UpstreamError           retry failure  fault
end-after-0             @S      UpstreamError           retry failure  fault
end-after-0             @W      UpstreamInvalidResponse -     failure  fault
bad-chunking-0                  UpstreamInvalidResponse -     failure  fault
stall-head                      UpstreamTimeout         -     failure  fault
stall-after-0                   UpstreamTimeout         -     failure  fault
keep-alive-60m                  UpstreamTimeout         -     failure  fault
html                            UpstreamInvalidResponse -     failure  fault
empty                           UpstreamError           retry failure  fault
blank                           UpstreamError           retry failure  fault
bad-gzip                        UpstreamInvalidResponse -     failure  fault
endless-head                    UpstreamInvalidResponse -     failure  fault
redirect-307                    UpstreamInvalidResponse -     failure  fault (final)
error-400                       InvalidValue            -     -        -     (final)
error-400-model                 ModelNotFound           -     failure  -     (final)
error-400-context               ContextLengthExceeded   -     context  -     (final)
error-401                       UpstreamAuthFailed      -     failure  fault (final)
error-402                       UpstreamNoBalance       -     failure  fault (final)
error-402-max-tokens            UpstreamNoBalance       -     failure  -     (final)
error-403-key-limit             UpstreamNoBalance       -     failure  fault (final)
error-403               openrouter ContentFiltered      -     content  -     (final)
error-403               plain   UpstreamAuthFailed      -     failure  -     (final)
error-403-region                ModelNotFound           -     failure  -     (final)
error-400-azure-filter          ContentFiltered         -     content  -     (final)
error-404               openrouter ModelNotFound        -     failure  -     (final)
error-404               deepseek UpstreamError          -     failure  -     (final)
error-404               plain   ModelNotFound           -     failure  -     (final)
error-408                       UpstreamTimeout         retry failure  fault
error-409                       UpstreamError           -     failure  -
error-413                       RequestTooLarge         -     -        -     (final)
error-422                       InvalidValue            -     -        -     (final)
error-429               openrouter UpstreamRateLimited  retry failure  fault
error-429               deepseek UpstreamRateLimited    retry failure  fault
error-429               plain   UpstreamRateLimited     retry failure  fault 0.85
error-429+retry-after-7 openrouter UpstreamRateLimited  retry failure  fault 7
error-429+retry-after-7 deepseek UpstreamRateLimited    retry failure  fault 7
error-429-no-hint+retry-after-7 UpstreamRateLimited     retry failure  fault 7
error-429-quota                 UpstreamNoBalance       -     failure  fault (final)
error-498-groq                  UpstreamError           -     failure  -
error-500                       UpstreamError           retry failure  fault
error-502                       UpstreamError           retry failure  fault
error-503               openrouter UpstreamError        retry failure  fault 12
error-503               deepseek UpstreamError          retry failure  fault
error-503               plain   UpstreamError           retry failure  fault 2
error-503+retry-after-7         UpstreamError           retry failure  fault 7
error-504                       UpstreamTimeout         retry failure  fault
error-524                       UpstreamTimeout         retry failure  fault
error-529                       UpstreamError           retry failure  fault
error-first-500                 UpstreamError           retry failure  fault
error-in-200-500                UpstreamError           retry failure  fault
error-in-200-401                UpstreamAuthFailed      -     failure  fault (final)
error-mid-documented+at-0       UpstreamError           retry failure  fault
"""
SILENT = ("stall-head", "stall-after-0", "keep-alive-60m")
NOT_AT: dict[str, tuple[str, ...]] = {
    "error-400-context": ("deepseek",),
    "error-402": ("plain",),
    "error-408": ("deepseek",),
    "error-409": ("openrouter", "deepseek"),
    "error-524": ("deepseek", "plain"),
    "error-529": ("deepseek", "plain"),
    "error-400-model": ("plain",),
    **dict.fromkeys(("error-402-max-tokens", "error-403-key-limit", "error-403-region"), ("deepseek", "plain")),
    **dict.fromkeys(
        ("error-400-azure-filter", "error-429-no-hint+retry-after-7", "error-429-quota", "error-498-groq"),
        ("openrouter", "deepseek"),
    ),
}
"""Who does not know the error."""


def rows(provider: str, stream: bool) -> list[tuple[str, str]]:
    """What holds for this provider: behaviours, and what becomes of each."""
    found = []
    for row in TABLE.strip().splitlines():
        behaviour, *rest = row.split()
        where = rest.pop(0) if rest[0].startswith("@") or rest[0] in MODELS else None
        if provider in NOT_AT.get(behaviour, ()) or where not in (None, provider, "@S" if stream else "@W"):
            continue
        found.append((behaviour, " ".join(rest)))
    return found


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(seed=0, pace_s=0) as sandbox:
        yield sandbox


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", MODELS)
async def test_every_failure_before_the_first_content_has_its_class_and_verdicts(
    sandbox: Sandbox, provider: str, stream: bool
) -> None:
    expected = rows(provider, stream)
    assert len(expected) >= 31
    became = await asyncio.gather(*(outcome(sandbox, provider, behaviour, stream) for behaviour, _ in expected))
    different = {
        behaviour: (meant, told) for (behaviour, meant), told in zip(expected, became, strict=True) if meant != told
    }
    assert different == {}


async def outcome(sandbox: Sandbox, provider: str, behaviour: str, stream: bool) -> str:
    """The error of one call, in the words of the table."""
    clock = ManualClock()
    sender = build_provider(provider, simulated(sandbox.address)[provider], clock=clock, on_failure=failed)
    model = MODELS[provider].partition("/")[2]
    body = {"model": model, "messages": ASKED, "stream": stream, "sandbox": behaviour}
    call = UpstreamCall(
        request=chat_request(body), candidate=Candidate(provider=provider, upstream_model=model), deadline_s=None
    )
    asking = asyncio.ensure_future(sender.chat(call))
    if behaviour in SILENT:
        await until(lambda: any(one["body"]["sandbox"] == behaviour for one in sandbox.requests()))
        clock.advance(LONG_S)
    try:
        await asking
    except LLMServiceError as error:
        told = isinstance(error, UpstreamError) and not error.sent
        return f"{in_words(error)}{' not sent' * told}{' of another' * (error.provider != provider)}"
    finally:
        await sender.aclose()
    return "no error"


def in_words(error: LLMServiceError) -> str:
    words = [type(error).__name__, "retry" if may_retry(error) else "-", may_fall_back(error) or "-"]
    words.append("fault" if is_deployments_fault(error) else "-")
    if error.retry_after_s is not None:
        words.append(f"{error.retry_after_s:g}")
    if not error.retryable:
        words.append("(final)")
    return " ".join(words)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    options = simulated("http://127.0.0.1:1")["plain"]
    sender = build_provider("plain", options, clock=ManualClock(), on_failure=failed)
    body = {"model": "m", "messages": ASKED}
    with pytest.raises(UpstreamError) as refused:
        await sender.chat(
            UpstreamCall(request=chat_request(body), candidate=Candidate(provider="plain", upstream_model="m"))
        )
    await sender.aclose()
    assert (in_words(refused.value), refused.value.sent) == ("UpstreamError retry failure fault", False)
