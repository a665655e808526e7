"""One filtered answer through all doors: whole, in pieces, read on elsewhere, and from the cache."""

import re

import pytest

from llm_service.filters import FilterOptions
from llm_service.sandbox import Sandbox
from tests.support.doors import DOORS, STREAMING, Told, chat
from tests.support.doors.asks import OPENROUTER, PLAIN, said
from tests.support.service import Running, running
from tests.support.shared_answers import calls, settings_for

BLOCKED = chat(PLAIN, sandbox="tokens-60")
MASKED = chat(OPENROUTER, sandbox="tokens-60+split-3")


def a_word_of(text: str) -> re.Pattern[str]:
    """One that the text does not begin with."""
    words = re.findall(r"[a-z]+", text.lower())
    word = next(word for word in words if len(word) > 4 and word not in words[:4])
    return re.compile(rf"\b{word}\b", re.IGNORECASE)


def filters(*words: re.Pattern[str]) -> tuple[FilterOptions, ...]:
    blocked, masked = (word.pattern.strip("\\b") for word in words)
    return (
        FilterOptions(type="keywords", name="block", words=(blocked,), models=(PLAIN,), on=("output",)),
        FilterOptions(
            type="keywords", name="mask", words=(masked,), models=(OPENROUTER,), on=("output",), action="mask"
        ),
    )


async def read_on(service: Running, told: Told) -> list[Told]:
    """The whole of a stream once more, through every door that can."""
    rests = []
    for other in STREAMING:
        async with other.resume(service.address, f"{told.stream_id}.0") as reading:
            rests.append(await reading.told())
    return rests


@pytest.fixture
async def texts(sandbox: Sandbox) -> tuple[str, str]:
    """What the answers are without filters."""
    async with running(settings_for(sandbox)) as service:
        return (await said(service, DOORS[0], BLOCKED)).text, (await said(service, DOORS[0], MASKED)).text


async def test_every_door_gives_the_same_filtered_answer(sandbox: Sandbox, texts: tuple[str, str]) -> None:
    words = [a_word_of(text) for text in texts]
    begun, replaced = words[0].split(texts[0])[0], words[1].sub("[WORD]", texts[1])
    assert begun
    assert replaced != texts[1]
    async with running(settings_for(sandbox, filters=filters(*words)), cached=True) as service:
        before = len(calls(sandbox))
        for door in DOORS:
            told = await said(service, door, BLOCKED)
            assert (told.text, told.finish_reason, told.cache) == (begun, "content_filter", "miss"), door.name
            for rest in await read_on(service, told) if told.pieces is not None else ():
                assert (rest.pieces, rest.finish_reason) == (told.pieces, "content_filter"), door.name
        assert len(calls(sandbox)) == before + len(DOORS)  # what is blocked is not kept
        statuses = []
        for door in DOORS:
            told = await said(service, door, MASKED)
            assert (told.text, told.finish_reason) == (replaced, "stop"), door.name
            statuses.append(told.cache)
        assert statuses == ["miss", *["hit"] * (len(DOORS) - 1)]
