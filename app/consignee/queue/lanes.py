"""Which unfinished job is next: accounts take turns, then the lanes of an account, then what is due first.

Nothing here looks at all jobs or all lanes: a lane is looked at when its alarm rings, and is ready from then on until it
turns out that it can give nothing more.
"""

import heapq
import itertools
import math
from typing import NamedTuple

from consignee.queue import AT_ONCE, Job
from consignee.queue.alarms import Alarms
from consignee.queue.lane import Account, Lane, Waiting
from consignee.queue.rotation import Rotation


class Chosen(NamedTuple):
    """A job to claim, as attempt `attempt`, if the store still has it at that revision."""

    account: str
    id: str
    revision: int
    attempt: int


class Lanes:
    """Unfinished jobs; of one account at most `of_account` are leased. `now` is the time of dues, `ticks` that of leases."""

    def __init__(self, *, of_account: int | None = None) -> None:
        self._of_account = math.inf if of_account is None else of_account
        self._jobs: dict[tuple[str, str], Waiting] = {}
        self._accounts: dict[str, Account] = {}
        self._ready = Rotation()
        self._leases: Alarms[Waiting] = Alarms()
        self._alarms: Alarms[Lane] = Alarms()
        self._numbers = itertools.count()
        self._each = 0

    def put(self, job: Job, revision: int, *, told: bool = False, now: float = AT_ONCE) -> None:
        """Take in a job as it is at that revision, unless a newer one is known; one at rest is forgotten.

        `told` says that its worker said how it went: a lane on hold then waits for what follows from that.
        """
        known = self._jobs.get((job.account, job.id))
        if known is not None and revision <= known.revision:
            return
        if known is not None and known.lease is not None and job.lease is not None and job.due is not None:
            known.revision, known.attempt, known.due = revision, job.attempt, job.due
            self._set_lease(known, job.lease)
            return
        self.drop(job.account, job.id, told=told)
        if job.due is not None:
            self._add(job, job.due, revision, now)

    def drop(self, account: str, id: str, *, told: bool = False) -> None:  # noqa: A002
        """Forget a job."""
        if (waiting := self._jobs.pop((account, id), None)) is not None:
            waiting.gone = True
            waiting.lane.jobs -= 1
            self._end_lease(waiting, told=told)
            self._tidy(waiting.lane)

    def jobs(self) -> list[Waiting]:
        """Return all of them: quickly, however many there are."""
        return [*self._jobs.values()]

    def __contains__(self, place: tuple[str, str]) -> bool:
        """Whether the job with that account and id is unfinished."""
        return place in self._jobs

    def lease(self, account: str, id: str) -> float | None:  # noqa: A002
        """Return the end of the lease of a job, or None."""
        waiting = self._jobs.get((account, id))
        return waiting.lease if waiting else None

    def leased(self, account: str, id: str, attempt: int) -> int | None:  # noqa: A002
        """Return the revision of a job if that attempt has its lease, or None."""
        waiting = self._jobs.get((account, id))
        return waiting.revision if waiting and waiting.attempt == attempt and waiting.lease is not None else None

    def extend(self, account: str, id: str, attempt: int, until: float) -> bool:  # noqa: A002
        """Return whether that attempt has the lease, which then lasts until then."""
        if (has := self.leased(account, id, attempt)) is not None:
            self._set_lease(self._jobs[account, id], until)
        return has is not None

    def hold(self, account: str, lane: str, until: float | None) -> None:
        """Let a lane rest until then, or not any more."""
        held = self._lane(account, lane)
        held.hold, held.probe = until, None
        self._arm(held)
        self._tidy(held)

    def spare(self, chosen: Chosen, due: float) -> None:
        """Take back a job that could not be claimed: it is due then."""
        waiting = self._jobs.get((chosen.account, chosen.id))
        if waiting is not None and (waiting.revision, waiting.attempt) == (chosen.revision, chosen.attempt):
            waiting.due = due
            self._end_lease(waiting)
            self._queue(waiting)

    def choose(self, limit: int, *, each: int, now: float, ticks: float, until: float) -> list[Chosen]:
        """Return the jobs to claim next, at most so many, counted as leased until then from now on."""
        self.ripen(now, ticks)
        self._allow(each)
        chosen: list[Chosen] = []
        while len(chosen) < limit and (lane := self._next_lane()) is not None:
            lane.ripen(now)
            time = lane.time()
            if time is not None and time <= now and lane.has_room(each):
                chosen.append(self._take(lane, until))
            else:
                self._park(lane)
                if time is not None and time > now:
                    self._arm(lane)  # a full one is looked at again when one of its leases ends
        return chosen

    @property
    def ready(self) -> bool:
        """Whether there are lanes that the last choice did not get to."""
        return self._ready.first() is not None

    def ripen(self, now: float, ticks: float) -> bool:
        """End the leases whose time is over, and return whether there may be something to choose that was not before."""
        was_ready = self.ready
        for waiting in self._leases.rung(ticks):
            self._end_lease(waiting)
            self._queue(waiting)
        woken = list(self._alarms.rung(now))
        for lane in woken:
            self._wake(lane)
        return bool(woken) or (self.ready and not was_ready)

    def pause(self, now: float, ticks: float) -> float | None:
        """Return in how many seconds a job becomes due, a hold or a lease ends, whichever is first; None if none will."""
        times = ((self._alarms.first(), now), (self._leases.first(), ticks))
        return min((time - since for time, since in times if time is not None), default=None)

    def _add(self, job: Job, due: float, revision: int, now: float) -> None:
        lane = self._lane(job.account, job.lane)
        lane.jobs += 1
        waiting = Waiting(lane, job.id, next(self._numbers), due, job.attempt, revision, now)
        self._jobs[job.account, job.id] = waiting
        if job.lease is None:
            self._queue(waiting)
        else:
            self._set_lease(waiting, job.lease)

    def _lane(self, account: str, name: str) -> Lane:
        owner = self._accounts.setdefault(account, Account(account))
        return owner.lanes.setdefault(name, Lane(owner, name))

    def _tidy(self, lane: Lane) -> None:
        """Forget a lane of which there is nothing to know, and an account without lanes."""
        if lane.jobs or lane.hold is not None:
            return
        self._alarms.drop(lane)
        self._park(lane)
        del lane.account.lanes[lane.name]
        if not lane.account.lanes:
            del self._accounts[lane.account.name]

    def _queue(self, waiting: Waiting) -> None:
        waiting.lane.put(waiting)
        self._arm(waiting.lane)

    def _take(self, lane: Lane, until: float) -> Chosen:
        _, _, waiting = heapq.heappop(lane.ready)
        if lane.hold is not None:
            lane.probe = waiting
        waiting.attempt += 1  # who had the lease before has no say from here on
        self._set_lease(waiting, until)
        return Chosen(lane.account.name, waiting.id, waiting.revision, waiting.attempt)

    def _set_lease(self, waiting: Waiting, until: float) -> None:
        if waiting.lease is None:
            self._count(waiting.lane, 1)
        waiting.lease = until
        self._leases.set(waiting, until)

    def _end_lease(self, waiting: Waiting, *, told: bool = False) -> None:
        if waiting.lease is None:
            return
        lane, waiting.lease = waiting.lane, None
        self._leases.drop(waiting)
        if lane.probe is waiting:
            lane.probe = None
            lane.hold = math.inf if told else lane.hold
        self._count(lane, -1)
        self._arm(lane)

    def _count(self, lane: Lane, change: int) -> None:
        lane.leased += change
        lane.account.leased += change
        if lane.name in lane.account.ready:
            lane.account.ready.put(lane.name, lane.leased)
        if lane.account.ready.first() is not None:  # also of one that had all that it may have
            self._ready.put(lane.account.name, lane.account.leased)

    def _next_lane(self) -> Lane | None:
        while (name := self._ready.first()) is not None:
            account = self._accounts[name]
            lane = account.ready.first()
            if lane is not None and account.leased < self._of_account:
                return account.lanes[lane]
            self._ready.drop(name)  # until one of its leases ends
        return None

    def _arm(self, lane: Lane) -> None:
        """See to it that the lane is looked at when it has something to give."""
        if lane.name not in lane.account.ready and (time := lane.time()) is not None:
            alarm = self._alarms.get(lane)
            if alarm is None or time < alarm:
                self._alarms.set(lane, time)

    def _wake(self, lane: Lane) -> None:
        lane.account.ready.put(lane.name, lane.leased)
        self._ready.put(lane.account.name, lane.account.leased)

    def _park(self, lane: Lane) -> None:
        lane.account.ready.drop(lane.name)
        if lane.account.ready.first() is None:
            self._ready.drop(lane.account.name)

    def _allow(self, each: int) -> None:
        """Look at every lane again if more may be leased of each than until now."""
        if each > self._each:
            for account in self._accounts.values():
                for lane in account.lanes.values():
                    self._wake(lane)
        self._each = each
