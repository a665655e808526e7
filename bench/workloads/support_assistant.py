"""A support assistant's requests, seeded; sends them to a service and accounts for each hit and each miss."""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, Literal

import aiohttp

Kind = Literal["plain", "reworded", "personal"]

SYSTEM: Final = "You answer questions about Nimbus, a service that keeps files. Use the page below, and nothing else."
TOPICS: Final = (
    "reset my password", "change my plan", "share a folder", "restore an older version", "cancel my subscription",
    "see my invoices", "move files to another account", "use two-factor login", "free up space", "sync a new phone",
)  # fmt: skip
OBJECTS: Final = (
    "on the web", "on a Mac", "on Windows", "on Linux", "on an iPhone", "on Android", "for my team", "as an admin",
    "without the app", "from abroad", "with a school account", "after a move", "with a new e-mail address", "twice",
    "for a colleague", "in bulk", "by the command line", "with single sign-on", "on a shared computer", "offline",
    "from a backup", "for one folder only", "on a schedule", "with a promo code", "before it expires", "at once",
    "with a screen reader", "in another language", "for a client", "in the trial",
)  # fmt: skip
FORMS: Final = (
    "How do I {}?", "how can i {}", "I want to {}. What do I do?", "Please tell me how to {}.", "{}?? how?",
    "What is the way to {}?", "Is it possible to {}?", "Steps to {} please", "I cannot {}!", "Help me {}",
    "Where do I {}?", "Explain how to {}.", "Could you help me to {}?",
)  # fmt: skip
HITS: Final = ("hit", "coalesced", "stale", "semantic")


@dataclass(frozen=True, kw_only=True)
class Mix:
    """The knobs of the workload."""

    questions: int = 300
    exponent: float = 1.1
    reworded: float = 0.05
    personal: float = 0.05
    users: int = 2_000
    requests_a_change: int = 250
    streamed: float = 0.6


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. ``words`` say what is asked, whatever the ``version`` of the page behind it."""

    kind: Kind
    words: str
    version: int
    messages: Sequence[dict[str, str]]
    stream: bool

    @property
    def same(self) -> str:
        """Two requests with the same of this are the same to an exact cache."""
        return f"{self.words}\n{self.version}"


def requests_of(mix: Mix, *, count: int, seed: int) -> Iterator[Asked]:
    """The requests in their order."""
    source = random.Random(seed)
    weights = list(accumulate(1 / rank**mix.exponent for rank in range(1, mix.questions + 1)))
    pages = [0] * mix.questions
    for number in range(1, count + 1):
        if number % mix.requests_a_change == 0:
            pages[source.randrange(mix.questions)] += 1
        question = source.choices(range(mix.questions), cum_weights=weights)[0]
        chance = source.random()
        kind: Kind = "plain"
        if chance < mix.reworded:
            kind = "reworded"
        elif chance < mix.reworded + mix.personal:
            kind = "personal"
        yield _asked(mix, source, question, pages[question], kind)


def _asked(mix: Mix, source: random.Random, question: int, version: int, kind: Kind) -> Asked:
    wish = f"{TOPICS[question % len(TOPICS)]} {OBJECTS[question // len(TOPICS) % len(OBJECTS)]}"
    form = source.choice(FORMS[1:]) if kind == "reworded" else FORMS[0]
    text = form.format(wish)
    page = f"Page {question}, version {version}: to {wish}, open the settings. " + "Then follow the steps there. " * 12
    system = f"{SYSTEM}\n\n{page}"
    if kind == "personal":
        system = f"The user is called user-{source.randrange(mix.users)}. {system}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    named = system.partition(". ")[0] if kind == "personal" else ""
    return Asked(
        kind=kind,
        words=f"{question} {named} {text}",
        version=version,
        messages=messages,
        stream=source.random() < mix.streamed,
    )


@dataclass
class Account:
    """What became of the requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    _missed: set[str] = field(default_factory=set)
    _words: set[str] = field(default_factory=set)

    def has_missed(self, asked: Asked) -> bool:
        """Whether a request like this has been a miss before: a cache that forgets nothing has the answer."""
        return asked.same in self._missed

    def answered(self, asked: Asked, status: str) -> None:
        """The cache's own word for an answer; a miss gets its reason."""
        self.statuses[status] += 1
        if status in HITS:
            return
        if self.has_missed(asked):
            why = "forgotten"
        elif asked.words in self._words:
            why = "changed"
        else:
            why = "new" if asked.kind == "plain" else asked.kind
        self.misses[why] += 1
        self._missed.add(asked.same)
        self._words.add(asked.words)

    @property
    def hit_ratio(self) -> float:
        """Hits of all answers."""
        answers = self.statuses.total()
        return sum(self.statuses[status] for status in HITS) / answers if answers else 0.0

    def as_object(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "answers": self.statuses.total(),
            "hit_ratio": round(self.hit_ratio, 4),
            "statuses": dict(self.statuses.most_common()),
            "misses": dict(self.misses.most_common()),
            "failures": dict(self.failures),
        }


async def run(url: str, *, key: str, model: str, requests: Sequence[Asked], connections: int) -> Account:
    """Send the requests in their order, through so many connections at once."""
    account, queue = Account(), iter(requests)
    headers = {"authorization": f"Bearer {key}"} if key else {}

    async def work(session: aiohttp.ClientSession) -> None:
        for asked in queue:
            body = {"model": model, "messages": asked.messages, "stream": asked.stream}
            try:
                async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                    text = await answer.read()
                    whole = text.endswith(b"data: [DONE]\n\n") if asked.stream else text.startswith(b"{")
                    if answer.status != 200 or not whole:
                        account.failures[f"{answer.status}"] += 1
                        continue
                    account.answered(asked, answer.headers.get("x-llm-cache", "none"))
            except aiohttp.ClientError as failure:
                account.failures[type(failure).__name__] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(connections)))
    return account


def expected(mix: Mix, *, count: int, seed: int) -> Account:
    """What a cache that forgets nothing would do."""
    account = Account()
    for asked in requests_of(mix, count=count, seed=seed):
        account.answered(asked, "hit" if account.has_missed(asked) else "miss")
    return account


OTHER_MIXES: Final[dict[str, Mix]] = {
    "as declared": Mix(),
    "flatter: Zipf 0.8": Mix(exponent=0.8),
    "ten times the questions": Mix(questions=3_000),
    "a third reworded": Mix(reworded=0.33),
    "every prompt personal": Mix(reworded=0.0, personal=1.0),
    "half of them personal": Mix(personal=0.5),
    "pages change ten times as often": Mix(requests_a_change=25),
}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="deepseek/deepseek-flash")
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expect", action="store_true", help="reckon several mixes, without a service")
    given = parser.parse_args()
    if given.expect:
        for name, mix in OTHER_MIXES.items():
            account = expected(mix, count=given.requests, seed=given.seed)
            print(f"{name:32} {account.hit_ratio:7.1%}  misses {dict(account.misses.most_common())}")
        return 0
    asked = tuple(requests_of(Mix(), count=given.requests, seed=given.seed))
    account = asyncio.run(
        run(given.url, key=given.key, model=given.model, requests=asked, connections=given.connections)
    )
    print(json.dumps(account.as_object(), indent=2))
    return 1 if account.failures else 0


if __name__ == "__main__":
    sys.exit(main())
