"""What is followed: a result set is looked at once for all who follow it, and the less often the more that costs."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from consignee.errors import RateLimited

MOST: Final = 20
"""How many an account may have who follow its result sets at once."""

EVERY: Final = 0.25
SLOWEST: Final = 2.0
"""Seconds from one look to the next: while there is something new each time, and when there was nothing for a while."""

_SHARE: Final = 20
"""Of so many seconds, one at most goes into looking, over all result sets that are followed."""

_RETRY_AFTER: Final = 10


@dataclass(frozen=True)
class Glance:
    """A result set as it was seen: the event that tells of it, and whether nothing more is to come."""

    event: bytes
    finished: bool


Look = Callable[[], Awaitable[Glance | None]]
"""Returns what is to be seen, or None if the result set is gone; raises StoreError."""


@dataclass(eq=False)
class _Subject:
    """One result set, with what was seen of it last, and from when on another look is worth while."""

    look: Look
    followers: int = 0
    seen: Glance | None = None
    wait: float = EVERY
    next_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Followed:
    """The result sets that are followed. `most` is for each account; `clock` returns seconds."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._followers: Counter[str] = Counter()
        self._subjects: dict[tuple[str, str], _Subject] = {}

    @contextmanager
    def follow(self, account: str, id: str, look: Look) -> Iterator[Look]:  # noqa: A002
        """Be one of those who follow a result set; yields what shows them all the same. Raises RateLimited."""
        if self._followers[account] >= self._most:
            told = f"{self._most} streams of events are open already: close one first."
            raise RateLimited(told, retry_after=_RETRY_AFTER)
        subject = self._subjects.setdefault((account, id), _Subject(look))
        self._followers[account] += 1
        subject.followers += 1
        try:
            yield partial(self._shown, subject)
        finally:
            self._leave(account, id, subject)

    def _leave(self, account: str, id: str, subject: _Subject) -> None:  # noqa: A002
        subject.followers -= 1
        if not subject.followers:
            del self._subjects[account, id]
        self._followers[account] -= 1
        if not self._followers[account]:
            del self._followers[account]

    async def _shown(self, subject: _Subject) -> Glance | None:
        async with subject.lock:
            if subject.next_at is None or self._clock() >= subject.next_at:
                await self._look(subject)
            return subject.seen

    async def _look(self, subject: _Subject) -> None:
        began = self._clock()
        seen = await subject.look()
        ended = self._clock()
        subject.wait = EVERY if seen != subject.seen else min(subject.wait * 1.5, SLOWEST)
        subject.next_at = ended + max(subject.wait, (ended - began) * _SHARE * len(self._subjects))
        subject.seen = seen
