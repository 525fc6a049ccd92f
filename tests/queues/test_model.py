"""Whatever is done to a queue, in whatever order: it answers as the model does."""

import asyncio
import math
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consignee.errors import Conflict
from consignee.queue import AT_ONCE, Change, Job, LeaseLost
from consignee.queue.stored import StoredQueue
from consignee.store import Store
from consignee.store.memory import MemoryStore
from queues.claiming import LEASE, Clock
from queues.model import Known, Model, Place

BOUNDED = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize="STEPS" not in os.environ)
"""The same each time, unless the long form of the models is what runs."""
ACCOUNTS = st.sampled_from("ab")
IDS = st.sampled_from("123456")
LANES = st.sampled_from("xy")
DELAYS = st.none() | st.sampled_from([-math.inf, -5.0, 0.0, 5.0, 50.0])
EACH = st.integers(1, 3)
_T = TypeVar("_T")


class QueueMachine(RuleBasedStateMachine):
    """Does to the queue and to the model the same; the workers speak at random, also those that have no say."""

    of_account: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.store: Store = MemoryStore()
        self.model = Model(of_account=math.inf if self.of_account is None else self.of_account)
        self.claimed: list[Job] = []
        self.heard: dict[Place, int] = {}
        self.each = 3
        # Whether a wait must end at once if something can be claimed; False: it must not end; None: it may.
        self.news: bool | None = True
        self.run(self.store.open())
        self.queue = self.opened()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(coroutine)

    def opened(self) -> StoredQueue:
        queue = StoredQueue(self.store, "jobs", now=self.clock, lease=LEASE, of_account=self.of_account)
        self.run(queue.open())
        return queue

    def teardown(self) -> None:
        """Claim until everything is done: nothing is lost."""
        self.finish()
        self.runner.close()

    def finish(self) -> None:
        for account, lane in list(self.model.holds):
            self.run(self.queue.hold(account, lane, None))
        self.model.holds.clear()
        self.clock.advance(1000)
        for _ in range(20):
            self.claim(3, 3)
            for job in self.claimed[-3:]:
                self.speak(job, "acknowledge", None)
        assert [known for known in self.model.jobs.values() if known.due is not None and not known.worker] == []

    def due(self, delay: float | None) -> float | None:
        return None if delay is None else max(AT_ONCE, self.clock() + delay)

    @rule(account=ACCOUNTS, id_=IDS, lane=LANES, delay=DELAYS)
    def add(self, account: str, id_: str, lane: str, delay: float | None) -> None:
        adding = self.queue.add(account, id_, {}, lane=lane, due=self.due(delay))
        if (account, id_) in self.model.jobs:
            with pytest.raises(Conflict):
                self.run(adding)
        else:
            self.run(adding)
            self.model.jobs[account, id_] = Known((account, id_), lane, self.due(delay), self.clock())
            self.news = True

    @rule(limit=st.integers(0, 5), each=EACH)
    def claim(self, limit: int, each: int) -> None:
        now = self.clock()
        self.model.expire(now)
        jobs = self.run(self.queue.claim(limit, each=each))
        available = self.model.available(each, now)
        assert len(jobs) == min(limit, sum(self.most(account, available) for account in "ab"))
        for job in jobs:
            self.check_turn(job, available)
            self.model.claim(job, now)
            if not self.model.room_of_account(job.account):
                for place in [place for place in available if place[0] == job.account]:
                    del available[place]
            assert job.attempt > self.heard.get((job.account, job.id), 0), "attempts only grow"
            self.heard[job.account, job.id] = job.attempt
        self.claimed += jobs
        if limit:
            self.each, self.news = each, True

    def most(self, account: str, available: dict[Place, tuple[int, list[Known]]]) -> float:
        """Return how many jobs the account can be given."""
        lanes = sum(min(room, len(known)) for place, (room, known) in available.items() if place[0] == account)
        return min(self.model.room_of_account(account), lanes)

    def check_turn(self, job: Job, available: dict[Place, tuple[int, list[Known]]]) -> None:
        """Account and lane are those that have least, and the job is one of those of the lane that are due first."""
        leased = self.model.leased()
        totals = {account: sum(n for (a, _), n in leased.items() if a == account) for account, _ in available}
        assert totals[job.account] == min(totals.values())
        mine = {lane: leased[account, lane] for account, lane in available if account == job.account}
        assert mine[job.lane] == min(mine.values())
        room, jobs = available[job.account, job.lane]
        known = self.model.jobs[job.account, job.id]
        assert known.turn == min(other.turn for other in jobs)
        jobs.remove(known)
        available[job.account, job.lane] = room - 1, jobs
        if room == 1 or not jobs:
            del available[job.account, job.lane]

    @precondition(lambda self: self.claimed)
    @rule(
        pick=st.integers(0, 99),
        word=st.sampled_from(["acknowledge", "retry", "release", "extend", "extend with data"]),
        delay=st.sampled_from([0.0, 5.0, 50.0]),
    )
    def word(self, pick: int, word: str, delay: float) -> None:
        self.speak(self.claimed[-1 - pick % min(len(self.claimed), 8)], word, delay)

    def speak(self, job: Job, word: str, delay: float | None) -> None:
        self.news = self.news or None
        speaking = self.spoken(job, word, self.clock() + (delay or 0))
        if not self.model.has_say(job):
            with pytest.raises(LeaseLost):
                self.run(speaking)
            return
        said = self.run(speaking)
        if word.startswith("extend"):
            self.model.jobs[job.account, job.id].until = self.clock() + LEASE
        else:
            self.model.end((job.account, job.id), said.due, self.clock(), told=word != "release")
            self.news = True

    def spoken(self, job: Job, word: str, due: float) -> Coroutine[Any, Any, Job]:
        match word:
            case "acknowledge":
                return self.queue.acknowledge(job, {})
            case "retry":
                return self.queue.retry(job, {}, due=due)
            case "release":
                return self.queue.release(job)
            case "extend":
                return self.queue.extend(job)
            case _:
                return self.queue.extend(job, {"half": "done"})

    @rule(account=ACCOUNTS, id_=IDS, delay=DELAYS)
    def change(self, account: str, id_: str, delay: float | None) -> None:
        changed = self.run(self.queue.change(account, id_, lambda job: Change({}, self.due(delay))))
        assert (changed is not None) == ((account, id_) in self.model.jobs)
        if changed is not None:
            self.model.end((account, id_), self.due(delay), self.clock())
        self.news = self.news or (None if changed is None else True)

    @rule(account=ACCOUNTS, id_=IDS)
    def remove(self, account: str, id_: str) -> None:
        """A new job of this id would count its attempts anew, so the attempts of the old one are forgotten."""
        self.run(self.queue.remove(account, id_))
        if (known := self.model.jobs.pop((account, id_), None)) is not None:
            self.model.free(known)
        self.claimed = [job for job in self.claimed if (job.account, job.id) != (account, id_)]
        self.heard.pop((account, id_), None)
        self.news = True

    @rule(account=ACCOUNTS, lane=LANES, delay=DELAYS)
    def hold(self, account: str, lane: str, delay: float | None) -> None:
        self.run(self.queue.hold(account, lane, self.due(delay)))
        self.model.probes.pop((account, lane), None)
        self.model.holds.pop((account, lane), None)
        if delay is not None:
            self.model.holds[account, lane] = max(AT_ONCE, self.clock() + delay)
        self.news = True

    @rule(seconds=st.sampled_from([1.0, 5.0, LEASE, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.news = self.news or None

    @rule()
    def wait(self) -> None:
        """What can be claimed is not waited for; and a wait does not end twice with the same news."""
        self.model.expire(self.clock())
        ended = self.run(self.ends_at_once())
        if self.news and self.model.available(self.each, self.clock()):
            assert ended
        if self.news is False:
            assert not ended
        self.news = False

    async def ends_at_once(self) -> bool:
        waiting = asyncio.ensure_future(self.queue.wait(9999))
        for _ in range(5):
            await asyncio.sleep(0)
        ended = waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        return ended

    @rule()
    def restart(self) -> None:
        self.queue = self.opened()
        self.model.restart(self.clock())
        self.news = True

    @invariant()
    def everybody_sees_the_same(self) -> None:
        """Nothing is lost, and what is shown is what the model knows."""
        shown = {(job.account, job.id): job for account in "ab" for job in self.run(self.queue.list(account))}
        assert shown.keys() == self.model.jobs.keys()
        for place, job in shown.items():
            known = self.model.jobs[place]
            until = known.until if known.until is not None and known.until > self.clock() else None
            assert (job.lane, job.due, job.attempt, job.crashes, job.lease) == (
                known.lane,
                known.due,
                known.attempt,
                known.crashes,
                until,
            )


TestQueue = QueueMachine.TestCase
TestQueue.settings = BOUNDED


class CappedMachine(QueueMachine):
    """With a cap on what one account may have."""

    of_account = 2


TestCappedQueue = CappedMachine.TestCase
TestCappedQueue.settings = BOUNDED
