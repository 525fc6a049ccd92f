"""What is known of an unfinished job, of its lane and of the account that this is of."""

import heapq
import math
from dataclasses import dataclass, field

from consignee.queue import AT_ONCE
from consignee.queue.rotation import Rotation


@dataclass(eq=False)
class Waiting:
    """What is known of one unfinished job. `came` is when it was heard of, `lease` the end of its lease."""

    lane: "Lane"
    id: str
    number: int
    due: float
    attempt: int
    revision: int
    came: float
    lease: float | None = None
    gone: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether it is neither leased nor gone."""
        return not self.gone and self.lease is None


@dataclass(eq=False)
class Account:
    """The lanes of one account; those that may have something to give take turns."""

    name: str
    lanes: dict[str, "Lane"] = field(default_factory=dict)
    ready: Rotation = field(default_factory=Rotation)
    leased: int = 0


@dataclass(eq=False)
class Lane:
    """The jobs of one lane that are not leased: `ready` are those that can be given, `due` those whose time is to come.

    `hold` is the time until which it rests, infinite if that takes a word; `probe` the one job that it gave after that.
    """

    account: Account
    name: str
    due: list[tuple[float, int, Waiting]] = field(default_factory=list)
    ready: list[tuple[float, int, Waiting]] = field(default_factory=list)
    jobs: int = 0
    leased: int = 0
    hold: float | None = None
    probe: Waiting | None = None

    def time(self) -> float | None:
        """Return from when on there is something to give, as far as time goes; None if that takes other news."""
        for jobs in (self.ready, self.due):
            while jobs and not jobs[0][2].is_waiting:
                heapq.heappop(jobs)
        if self.hold == math.inf or not (self.ready or self.due):
            return None
        return max(AT_ONCE if self.ready else self.due[0][0], self.hold or AT_ONCE)

    def put(self, waiting: Waiting) -> None:
        """Take in a job; what is due at once keeps its place behind what came, or became due, before it."""
        if waiting.due == AT_ONCE:
            heapq.heappush(self.ready, (waiting.came, waiting.number, waiting))
        else:
            heapq.heappush(self.due, (waiting.due, waiting.number, waiting))

    def ripen(self, now: float) -> None:
        """Note whose time has come; a clock that is set back does not change that."""
        while self.due and self.due[0][0] <= now:
            heapq.heappush(self.ready, heapq.heappop(self.due))

    def has_room(self, each: int) -> bool:
        """Whether one more may be leased."""
        return self.leased < (each if self.hold is None else 1)
