"""What processes that share a Valkey or Redis tell each other of deployments that fail."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from llm_service.storage.ports import BreakerAnswer, BreakerNews, Ejection, Reach
from llm_service.storage.scripts import ScriptRunner, script

CAUSE_LENGTH: Final = 200


class ValkeyBreakers:
    """See BreakerStore. Keys are ``<prefix>{adm}:breakers`` and ``<prefix>{adm}:breakers:news``.

    Of at most 4096 breakers, those with the latest changes, for two hours each. Only under test is the time given.
    """

    __slots__ = ("_claim", "_close", "_failed", "_give_back", "_holder", "_keys", "_news", "_now", "_open", "_runner",
                 "reach")  # fmt: skip

    def __init__(
        self,
        runner: ScriptRunner,
        *,
        prefix: str,
        holder: str,
        reach: Reach = "cluster",
        now: Callable[[], float] | None = None,
    ) -> None:
        """``holder`` names this process."""
        self.reach = reach
        self._runner = runner
        self._holder = holder
        self._keys = (f"{prefix}{{adm}}:breakers", f"{prefix}{{adm}}:breakers:news")
        self._now = now
        self._open, self._close = _script("open"), _script("close")
        self._claim, self._give_back = _script("claim"), _script("give_back")
        self._failed, self._news = _script("failed"), _script("news")

    async def open(self, name: str, *, cause: str, pause_s: float, within: Sequence[Ejection] = ()) -> BreakerAnswer:
        """Nothing is sent from now on."""
        groups: list[str | int] = []
        for group in within:
            groups += (group.most, len(group.names), *group.names)
        return await self._answer(self._open, name, cause[:CAUSE_LENGTH], _ms(pause_s), *groups)

    async def claim(
        self, name: str, *, number: int, lease_s: float, seen: int, cause: str, pause_s: float
    ) -> BreakerAnswer:
        """Be the one that tries, until its verdict is told or so much time has passed."""
        known = cause[:CAUSE_LENGTH], _ms(pause_s)
        return await self._answer(self._claim, name, number, _ms(lease_s), seen, *known)

    async def failed(self, name: str, *, number: int, cause: str, pause_s: float, seen: int) -> BreakerAnswer:
        """The try failed: a new pause begins."""
        return await self._answer(self._failed, name, number, cause[:CAUSE_LENGTH], _ms(pause_s), seen)

    async def close(self, name: str, *, seen: int | None) -> BreakerAnswer:
        """The try went well: it is closed for all."""
        return await self._answer(self._close, name, "" if seen is None else seen)

    async def give_back(self, name: str, *, number: int) -> BreakerAnswer:
        """The try gave no verdict: the next request of any process may be the one."""
        return await self._answer(self._give_back, name, number)

    async def news(self, since: int) -> tuple[int, Sequence[BreakerNews]]:
        """What happened after a version, in its order, and the newest version there is."""
        newest, *found = await self._run(self._news, since)
        return newest, [_news(words) for words in found]

    async def _answer(self, text: str, *words: str | int) -> BreakerAnswer:
        done, found = await self._run(text, *words)
        return BreakerAnswer(done=done == 1, news=_news(found))

    async def _run(self, text: str, *words: str | int) -> Any:
        now = "" if self._now is None else _ms(self._now())
        return await self._runner.run(text, self._keys, (now, self._holder, *words))


def _script(name: str) -> str:
    return script("breaker_common", f"breaker_{name}")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _news(words: Sequence[Any]) -> BreakerNews:
    name, version, is_open, since_ms, left_ms, pause_ms, cause = words
    return BreakerNews(
        name=name.decode(errors="replace"),
        version=version,
        is_open=is_open == 1,
        since=since_ms / 1000,
        left_s=left_ms / 1000,
        pause_s=pause_ms / 1000,
        cause=cause.decode(errors="replace"),
    )
