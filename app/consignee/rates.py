"""How much may be asked for in a time: a bucket of tokens for each key, filled again at a steady rate."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from consignee.errors import RateLimited

MOST_KEYS: Final = 10_000
"""How many keys are remembered; of more, those that asked for nothing the longest are forgotten."""


class Quota(NamedTuple):
    """What a rate leaves to one key: `left` of `most`, which come back within `window` seconds, all of them in `full_in`."""

    name: str
    most: int
    window: int
    left: int
    full_in: int


class Rates:
    """One rate, for each key by itself: `burst` at once, and then `per_second`; 0 means no limit. `clock` returns seconds."""

    def __init__(
        self,
        name: str,
        *,
        what: str,
        per_second: float,
        burst: int,
        keys: int = MOST_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._what = what
        self._per_second = per_second
        self._burst = burst
        self._keys = keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """The tokens of a key, and when they were counted; the key that was used last is the last."""

    def take(self, key: str, *, cost: int = 1) -> Quota | None:
        """Take so many tokens and return what is left, or None if there is no limit; raises RateLimited.

        A single token is enough to begin with something that costs more: the rest is owed, up to one burst.
        """
        if not self._per_second:
            return None
        now = self._clock()
        tokens = self._tokens(key, now)
        if tokens < 1:
            raise self._refused(key, tokens, now)
        return self._taken(key, tokens - cost, now)

    def owe(self, key: str, *, cost: int) -> Quota | None:
        """Take more tokens for what was let in before; raises RateLimited only if the key owes some already.

        So whoever begins with the last token is not refused for what follows, again and again.
        """
        if not self._per_second:
            return None
        now = self._clock()
        tokens = self._tokens(key, now)
        if tokens < 0:
            raise self._refused(key, tokens, now)
        return self._taken(key, tokens - cost, now)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._buckets)

    def _tokens(self, key: str, now: float) -> float:
        tokens, at = self._buckets.pop(key, (float(self._burst), now))
        return min(float(self._burst), tokens + max(0.0, now - at) * self._per_second)

    def _taken(self, key: str, tokens: float, now: float) -> Quota:
        tokens = max(tokens, -float(self._burst))
        self._keep(key, tokens, now)
        return self._quota(tokens)

    def _refused(self, key: str, tokens: float, now: float) -> RateLimited:
        self._keep(key, tokens, now)
        told = f"Too many {self._what}: {self._per_second:g} a second, and {self._burst} at once, are allowed."
        return RateLimited(told, retry_after=self._seconds(1 - tokens), quota=self._quota(tokens))

    def _keep(self, key: str, tokens: float, now: float) -> None:
        self._buckets[key] = tokens, now
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)

    def _quota(self, tokens: float) -> Quota:
        window = self._seconds(self._burst)
        return Quota(self._name, self._burst, window, max(0, int(tokens)), self._seconds(self._burst - tokens))

    def _seconds(self, tokens: float) -> int:
        return max(1, math.ceil(tokens / self._per_second))
