"""What a worker makes of its supervisor's orders."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from llm_service.runtime import Stop
from llm_service.supervisor import ReloadRefused, SupervisorsEnd
from llm_service.supervisor.channel import Message, WorkersEnd
from llm_service.supervisor.parcel import packed
from llm_service.supervisor.worker import AskedReload, Orders
from tests.support.waiting import until
from tests.unit.supervisor.test_graphs import House


class Post:
    """A worker under orders."""

    def __init__(self, house: House, supervisor: SupervisorsEnd, channel: WorkersEnd) -> None:
        self.house = house
        self.supervisor = supervisor
        self.stop = Stop()
        self.leave = asyncio.Event()
        self.reload = AskedReload(channel)
        orders = Orders(house.graphs, channel=channel, stop=self.stop, leave=self.leave, reload=self.reload)
        self.following = asyncio.ensure_future(orders.follow())

    def order(self, say: str, **facts: Any) -> None:
        self.supervisor.say(say, **facts)

    async def answer(self) -> Message:
        (message,) = await until(self.supervisor.heard)
        return message  # type: ignore[no-any-return]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    ours, theirs = socket.socketpair()
    channel = await WorkersEnd.over(theirs)
    post = Post(House(), SupervisorsEnd(ours), channel)
    yield post
    post.supervisor.close()
    await post.following
    await channel.aclose()
    await post.house.graphs.aclose()


async def test_it_prepares_and_commits(post: Post) -> None:
    post.order("prepare", attempt=5, edition=packed(post.house.edition(2)))
    assert await post.answer() == {"say": "prepared", "attempt": 5}
    assert post.house.graphs.current.edition.generation.number == 1
    post.order("commit", attempt=5)
    assert await post.answer() == {"say": "committed", "attempt": 5}
    assert post.house.graphs.current.edition.generation.number == 2


async def test_it_says_what_it_cannot(post: Post) -> None:
    post.house.failure = OSError("no such file")
    post.order("prepare", attempt=1, edition=packed(post.house.edition(2)))
    assert (await post.answer())["reasons"] == ["the service cannot be built: OSError: no such file"]


async def test_an_order_that_makes_no_sense_cannot_be_followed(post: Post) -> None:
    post.order("prepare", attempt=1, edition="nonsense")
    said = await post.answer()
    assert (said["say"], said["attempt"]) == ("cannot", 1)
    assert said["reasons"] == ["the service failed on this; its log has the details"]
    assert len(post.house.log.of("defect")) == 1


async def test_an_order_that_fails_is_told_and_no_end(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(post.house.graphs, "commit", lambda: 1 / 0)
        post.order("commit", attempt=1)
        await until(lambda: post.house.log.of("an order failed"))
    post.order("prepare", attempt=2, edition=packed(post.house.edition(2)))
    assert await post.answer() == {"say": "prepared", "attempt": 2}
    assert not post.stop.asked.is_set()


async def test_it_gives_up_what_it_has_prepared(post: Post) -> None:
    post.order("prepare", attempt=1, edition=packed(post.house.edition(2)))
    await post.answer()
    post.order("abort")
    await until(lambda: post.house.services[1].closed)


async def test_to_end_and_to_hurry_are_two_words(post: Post) -> None:
    post.stop.asked.set()  # by a signal to every process
    post.order("stop")
    post.order("prepare", attempt=1, edition=packed(post.house.edition(2)))
    assert await post.answer() == {"say": "prepared", "attempt": 1}  # and does not: it is ending anyway
    assert len(post.house.services) == 1
    assert not post.stop.hurried.is_set()
    post.order("hurry")
    await post.stop.hurried.wait()


async def test_the_end_of_its_supervisor_is_its_own(post: Post) -> None:
    post.supervisor.close()
    async with asyncio.timeout(5):
        await post.stop.hurried.wait()
    assert post.stop.asked.is_set()


async def test_a_reload_that_it_asks_for_is_answered(post: Post) -> None:
    asked = [asyncio.ensure_future(post.reload.reload()) for _ in range(3)]
    messages: list[Message] = []
    await until(lambda: messages.extend(post.supervisor.heard()) or len(messages) == 3)
    assert [message["say"] for message in messages] == ["reload"] * 3
    post.order("reloaded", ask=messages[0]["ask"], generation=4, loaded_at="2026-11-23T00:00:00+00:00")
    post.order("reloaded", ask=messages[1]["ask"], reasons=["a.yaml:1:1: is wrong"])
    assert (await asked[0]).number == 4
    with pytest.raises(ReloadRefused, match=r"a\.yaml:1:1"):
        await asked[1]
    post.supervisor.close()
    with suppress(ReloadRefused):
        await asked[2]
        pytest.fail("nobody has answered")


async def test_to_leave_is_no_end_of_the_service(post: Post) -> None:
    post.order("leave")
    await post.leave.wait()
    post.order("prepare", attempt=1, edition=packed(post.house.edition(2)))
    assert await post.answer() == {"say": "prepared", "attempt": 1}  # and does not: it is going anyway
    assert len(post.house.services) == 1
    assert not post.stop.asked.is_set()
