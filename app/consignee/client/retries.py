"""How often a request is repeated, after which waits, and which one may be."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consignee.client.errors import ApiError, ClientError, NotUnderstood, Unreachable

_BUSY = frozenset({502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Retries:
    """At most so many repetitions of a request. Waits are in seconds; they double from `first` to `longest`, about.

    A service that asks for more time gets it, but not more than `patience`: then its refusal is raised at once.
    """

    most: int = 4
    first: float = 0.25
    longest: float = 8.0
    patience: float = 60.0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random

    def wait(self, number: int, asked: float | None = None) -> float | None:
        """Return how long to wait before that repetition, the first is 0, or None if there is to be none."""
        if number >= self.most or (asked or 0) > self.patience:
            return None
        varied = min(self.longest, self.first * 2.0**number) * (0.5 + self.random() / 2)
        return max(varied, asked or 0)


def may_have_begun(error: ClientError) -> bool:
    """Return whether the request may be being carried out all the same: also what stands between answers 502 or 504."""
    return not (isinstance(error, ApiError) and error.status == 429)


def may_repeat(error: ClientError, *, safe: bool, begun: bool) -> bool:
    """Return whether the request may be made once more.

    `safe`: it does no harm if it was carried out already, since it only reads or has an idempotency key. `begun`: such a
    request may have been begun before; then a conflict says that it is still being carried out.
    """
    if isinstance(error, ApiError):
        if error.status == 429:  # nothing was done
            return True
        return safe and (error.status in _BUSY or (begun and error.code == "conflict"))
    if isinstance(error, NotUnderstood):
        return safe and error.status in _BUSY
    return safe and isinstance(error, Unreachable)
