"""What a queue must answer, told in the simplest way: every question looks at all jobs."""

import math
from collections import Counter
from dataclasses import dataclass, field

from consignee.queue import Job
from queues.claiming import LEASE

Place = tuple[str, str]


@dataclass(eq=False)
class Known:
    """One job; `worker` says whether its last attempt has a say, `until` is the end of its lease.

    `came` is when it was heard of last: one that is due at once is behind what came, or became due, before that.
    """

    place: Place
    lane: str
    due: float | None
    came: float
    attempt: int = 0
    crashes: int = 0
    worker: bool = False
    until: float | None = None

    @property
    def turn(self) -> float:
        """Return when its turn is, if it is due."""
        return self.due or self.came


@dataclass
class Model:
    """All jobs, and the holds of lanes with the one job that a lane on hold gave."""

    jobs: dict[Place, Known] = field(default_factory=dict)
    holds: dict[Place, float] = field(default_factory=dict)
    probes: dict[Place, Place | None] = field(default_factory=dict)
    of_account: float = math.inf

    def has_say(self, job: Job) -> bool:
        """Whether that attempt may speak."""
        known = self.jobs.get((job.account, job.id))
        return known is not None and known.worker and known.attempt == job.attempt

    def end(self, place: Place, due: float | None, now: float, *, told: bool = False) -> None:
        """Take the job from its worker."""
        known = self.jobs[place]
        known.worker, known.crashes, known.due, known.came = False, 0, due, now
        self.free(known, told=told)

    def free(self, known: Known, *, told: bool = False) -> None:
        """End the lease of a job."""
        known.until = None
        lane = (known.place[0], known.lane)
        if self.probes.get(lane) == known.place:
            self.probes[lane] = None
            if told:
                self.holds[lane] = math.inf

    def expire(self, now: float) -> None:
        """End the leases whose time is over."""
        for known in self.jobs.values():
            if known.until is not None and known.until <= now:
                self.free(known)

    def leased(self) -> Counter[Place]:
        """Count what is leased, by lane."""
        return Counter((job.place[0], job.lane) for job in self.jobs.values() if job.until is not None)

    def room_of_account(self, account: str) -> float:
        """Return how many more the account may have."""
        return max(0, self.of_account - sum(count for (owner, _), count in self.leased().items() if owner == account))

    def room(self, lane: Place, each: int, now: float) -> int:
        """Return how many more the lane may give."""
        hold = self.holds.get(lane)
        if (hold is not None and hold > now) or not self.room_of_account(lane[0]):
            return 0
        return max(0, (each if hold is None else 1) - self.leased()[lane])

    def available(self, each: int, now: float) -> dict[Place, tuple[int, list[Known]]]:
        """Return how many each lane may give, if any, and out of which jobs."""
        lanes: dict[Place, tuple[int, list[Known]]] = {}
        for known in self.jobs.values():
            lane = (known.place[0], known.lane)
            if known.due is not None and known.due <= now and known.until is None and self.room(lane, each, now):
                lanes.setdefault(lane, (self.room(lane, each, now), []))[1].append(known)
        return lanes

    def claim(self, job: Job, now: float) -> None:
        """Take in what was claimed."""
        known = self.jobs[job.account, job.id]
        known.crashes = known.crashes + 1 if known.worker else 0
        known.attempt += 1
        known.worker, known.until = True, now + LEASE
        lane = (job.account, known.lane)
        if lane in self.holds:
            self.probes[lane] = known.place

    def restart(self, now: float) -> None:
        """Let the process end: nobody has a lease, and nothing is held."""
        for known in self.jobs.values():
            known.until, known.came = None, now
        self.holds.clear()
        self.probes.clear()
