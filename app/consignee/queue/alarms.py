"""When to look at what."""

import heapq
import itertools
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

_Thing = TypeVar("_Thing", bound=Hashable)


class Alarms(Generic[_Thing]):
    """Things, each with one time."""

    def __init__(self) -> None:
        self._times: dict[_Thing, float] = {}
        self._heap: list[tuple[float, int, _Thing]] = []
        self._numbers = itertools.count()

    def get(self, thing: _Thing) -> float | None:
        """Return the time of a thing, or None."""
        return self._times.get(thing)

    def set(self, thing: _Thing, time: float) -> None:
        """Give a thing another time."""
        self._times[thing] = time
        heapq.heappush(self._heap, (time, next(self._numbers), thing))

    def drop(self, thing: _Thing) -> None:
        """Forget the time of a thing."""
        self._times.pop(thing, None)

    def first(self) -> float | None:
        """Return the earliest time, or None."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # it has another time now, or none
        return self._heap[0][0] if self._heap else None

    def rung(self, now: float) -> Iterator[_Thing]:
        """Yield the things whose time has come, and forget their times."""
        while (time := self.first()) is not None and time <= now:
            _, _, thing = heapq.heappop(self._heap)
            del self._times[thing]
            yield thing
