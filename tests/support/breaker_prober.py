"""One of many processes that share the breakers of deployments; a program that is told what to do by lines.

python tests/support/breaker_prober.py URL PREFIX NUMBER; each line is what to do and with which model, and is answered
by a number when it is done: ``fail`` (1), ``try`` (how many of three requests may be sent), ``succeed`` (1), ``see``
(1: it is closed).
"""

import asyncio
import random
import sys
from typing import Final

from llm_service.domain import Candidate
from llm_service.routing import Breaker, BreakerOptions, Breakers, BreakerSharing
from llm_service.runtime import SystemClock, Tasks
from llm_service.storage import ValkeyBreakers, ValkeyBulletin, ValkeyClient, parse_store_url
from tests.support.ledger_entries import SilentLog
from tests.support.waiting import until

AT_ONCE: Final = 3
OPTIONS: Final = BreakerOptions(failures=2, open_s=0.02, open_max_s=600)
WITHIN_S: Final = 30.0


def fail_loudly(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


class Prober:
    def __init__(self, client: ValkeyClient, prefix: str, holder: str) -> None:
        self.clock = SystemClock()
        dice = random.Random()
        sharing = BreakerSharing(
            ValkeyBreakers(client, prefix=prefix, holder=holder),
            bulletin=ValkeyBulletin(
                client, prefix=prefix, clock=self.clock, source=dice, on_failure=fail_loudly, silent_s=30
            ),
            clock=self.clock,
            dice=dice,
            tasks=Tasks(fail_loudly),
            log=SilentLog(),
        )
        self.breakers = Breakers(clock=self.clock, log=SilentLog(), sharing=sharing)
        self.breakers.configure(OPTIONS, lambda candidate: ())
        self.breakers.start()
        self.permit = 0

    async def do(self, what: str, breaker: Breaker) -> int:
        match what:
            case "fail":
                for _ in range(OPTIONS.failures):
                    breaker.failed(self.clock.monotonic(), breaker.permits(self.clock.monotonic()), "it is down")
            case "try":
                await until(lambda: self.is_due(breaker), within_s=WITHIN_S)
                return sum(await asyncio.gather(*(self.request(breaker) for _ in range(AT_ONCE))))
            case "succeed":
                breaker.succeeded(self.clock.monotonic(), self.permit)
            case _:
                await until(lambda: breaker.closed, within_s=WITHIN_S)
        return 1

    def is_due(self, breaker: Breaker) -> bool:
        """Whether its pause is over, as far as it is known; another process may be at it already."""
        now = self.clock.monotonic()
        return breaker.broken and (breaker.ready(now) or breaker.open_until > now + 1)

    async def request(self, breaker: Breaker) -> bool:
        permit = breaker.permits(self.clock.monotonic())
        permit = await self.breakers.claim(breaker, permit) if permit else 0
        self.permit = permit or self.permit
        return bool(permit)


async def main(url: str, prefix: str, number: str) -> None:
    client = ValkeyClient(
        parse_store_url(url),
        prefix=prefix,
        clock=SystemClock(),
        source=random.Random(),
        on_failure=fail_loudly,
        deadline_s=30,
    )
    await client.start()
    prober = Prober(client, prefix, f"process {number}")
    while line := await asyncio.to_thread(sys.stdin.readline):
        what, model = line.split()
        breaker = prober.breakers.of(Candidate(provider="p", upstream_model=model))
        print(await prober.do(what, breaker), flush=True)
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
