"""Queue: durable jobs that are claimed by lease, worked on, and acknowledged. The contract that every queue keeps.

A job has a lane: what shares its fate, such as the deliveries to one destination. What `tests/queues/contract.py` checks holds
for every implementation. Times are seconds since 1970.
"""

import abc
import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consignee.errors import ConsigneeError

Data = Mapping[str, Any]

AT_ONCE: Final = 0.0
"""When a job is due that need not wait: whatever the clock says, and behind what came before it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as it was at one moment.

    `attempt` counts its claims; `crashes` those of the last ones in a row that ended without a word. `due` is None when
    the job is at rest; `lease` is the end of the lease of whoever works on it, by the queue's own clock.
    """

    account: str
    id: str
    lane: str
    data: Data
    attempt: int = 0
    crashes: int = 0
    due: float | None = None
    lease: float | None = None


@dataclass(frozen=True)
class Change:
    """What becomes of a job that somebody else than its worker changes."""

    data: Data
    due: float | None


@dataclass(frozen=True, kw_only=True)
class Census:
    """How many unfinished jobs there are: `due` now, `under_way`, `scheduled` for later, or due in a lane at rest, `resting`.

    `oldest` is since when the one has been due that waits the longest of those that are `due`; None if none does.
    """

    due: int = 0
    under_way: int = 0
    scheduled: int = 0
    resting: int = 0
    oldest: float | None = None


class LeaseLost(ConsigneeError):
    """What the attempt has to say does not count: the job was claimed again, has an outcome, was changed, or is gone.

    That its lease ended is not enough: as long as nobody else claimed the job, the attempt may go on or end as any other.
    """


class Queue(abc.ABC):
    """Jobs of one kind.

    What returns has survived `kill -9` and a power cut; what raises has changed nothing. Every method but `claim` and those
    that read raises StoreError if the disk failed.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Make ready: jobs that were leased by a process that is no more can be claimed at once, or when the lease ends."""

    @abc.abstractmethod
    async def add(self, account: str, id: str, data: Data, *, lane: str, due: float | None) -> Job:  # noqa: A002
        """Add a job, at rest if it is not `due`; raises Conflict if there is one of that id."""

    @abc.abstractmethod
    async def claim(self, limit: int, *, each: int) -> list[Job]:
        """Return jobs that are due, at most `limit`, and lease them, such that no lane has more than `each` under lease.

        Accounts take turns, and so do the lanes of an account; in a lane, what is due first comes first. A lane on hold gives
        nothing before its time and while any of its jobs is leased, then one job, and nothing more until the hold is lifted
        or set anew; but if that job ended without an outcome, another one takes its place. A lease that ended counts as a
        crash, and its job is due. A job that the disk did not let be claimed is left out. Let this end: what is claimed when
        it is cancelled stays leased.
        """

    @abc.abstractmethod
    async def extend(self, job: Job, data: Data | None = None) -> Job:
        """Return the job with a lease that begins now, and with `data` saved if given; raises LeaseLost."""

    @abc.abstractmethod
    async def acknowledge(self, job: Job, data: Data) -> Job:
        """Save the outcome and put the job at rest; raises LeaseLost."""

    @abc.abstractmethod
    async def retry(self, job: Job, data: Data, *, due: float) -> Job:
        """Save the outcome and have the job tried again at that time; raises LeaseLost."""

    @abc.abstractmethod
    async def release(self, job: Job, data: Data | None = None) -> Job:
        """Give the job back unharmed: it is due at once, and this attempt is no crash; raises LeaseLost."""

    @abc.abstractmethod
    async def change(self, account: str, id: str, decide: Callable[[Job], Change | None]) -> Job | None:  # noqa: A002
        """Change a job from outside, unless `decide` returns None; whoever works on it loses the lease.

        Returns the job as it is then, or None if there is none. What is changed has no crashes. `decide` may be asked more than
        once.
        """

    @abc.abstractmethod
    async def remove(self, account: str, id: str) -> None:  # noqa: A002
        """Forget the job, also one that is leased; does nothing if there is none.

        Attempts of the next job of that id count from 1 again, so its id should not be used again.
        """

    @abc.abstractmethod
    async def renew(self, account: str, id: str) -> None:  # noqa: A002
        """Save the job anew as it is, dressed as things are now, if there is one; whoever works on it goes on."""

    @abc.abstractmethod
    async def get(self, account: str, id: str) -> Job | None:  # noqa: A002
        """Return the job, or None."""

    @abc.abstractmethod
    async def list(self, account: str, *, prefix: str = "") -> list[Job]:
        """Return the account's jobs whose id begins with `prefix`, oldest first."""

    @abc.abstractmethod
    async def ids(self, account: str, *, prefix: str = "") -> builtins.list[str]:
        """Return the ids of what `list` would return, in the same order; cheap, for no job is read."""

    @abc.abstractmethod
    async def unfinished(self, account: str, *, prefix: str) -> bool:
        """Whether one of the jobs that `list` would return is due or leased; cheap, for no job is read."""

    @abc.abstractmethod
    async def census(self) -> Census:
        """Return how many unfinished jobs there are; others get their turn while they are counted."""

    @abc.abstractmethod
    async def hold(self, account: str, lane: str, until: float | None) -> None:
        """Let the lane rest until then; None lifts the hold. Holds are not durable: who sets them, sets them again."""

    @abc.abstractmethod
    async def wait(self, seconds: float) -> None:
        """Return when `claim` may have something new to give, at the latest after so many seconds."""
