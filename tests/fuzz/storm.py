"""Many connections at once, each with mutated requests; the same ones each time for the same number."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from .corpus import corpus
from .mutations import Connection, connections
from .target import Target, known
from .wire import answers, exchange, require_ours

AT_ONCE: Final = 12
_BATCHES: Final = 15


@dataclass
class Storm:
    """What was sent so far, and what came back: answers by status."""

    target: Target
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def rage(self, number: int) -> None:
        """Send a few hundred requests; raises AssertionError with the bytes to which an answer is wrong."""
        strategy = connections(corpus(known(self.target)))

        @seed(number)
        @settings(
            max_examples=_BATCHES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(strategy, min_size=AT_ONCE, max_size=AT_ONCE))
        def check(batch: list[Connection]) -> None:
            asyncio.run(self.send(batch))

        check()
        self.target.require_alive()

    async def send(self, batch: Sequence[Connection]) -> None:
        """Let all of these clients send at once; raises AssertionError likewise."""
        received = await asyncio.gather(*(exchange(self.target.port, one) for one in batch))
        for connection, data in zip(batch, received, strict=True):
            self.requests += connection.requests
            try:
                found = list(answers(data))
                require_ours(found)
            except Exception as error:
                raise AssertionError(f"{error!r}\nsent: {connection.pieces!r}\nreceived: {data[-3000:]!r}") from error
            self.statuses.update(answer.status for answer in found)
