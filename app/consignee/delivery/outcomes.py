"""What comes of an attempt: decided, saved, and passed on."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from consignee.clock import timestamp
from consignee.delivery import delivery as states
from consignee.delivery.abandoning import Abandoning, OpenBucket
from consignee.delivery.conditions import Conditions
from consignee.delivery.delivery import Delivery
from consignee.delivery.herald import Herald
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.schedule import Schedule
from consignee.delivery.sending import Errand
from consignee.delivery.tracking import Tracking
from consignee.destination import Destination
from consignee.errors import (
    ClockSkew,
    ConsigneeError,
    FileDamaged,
    FileTooLarge,
    KeyTooLong,
    ProviderFailure,
    StoreError,
)
from consignee.queue import Job, Queue
from consignee.secret import Sealer

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before an outcome that the disk did not take is saved again: twice as long each time."""

Outcome = Callable[[], Awaitable[object]]
"""Saves what came of an attempt, and passes it on; returns True if its destination is known not to rest."""

_T = TypeVar("_T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an attempt needs of the service.

    `find` returns what a job is about, None if that is gone, and raises Skipped; `disable` is told of a destination to which
    nothing could be delivered for long; `ended` of each job that came to rest. `now` returns seconds since 1970, `clock`
    measures.
    """

    find: Callable[[Job], Awaitable[Errand | None]]
    open_bucket: OpenBucket
    abandoning: Abandoning
    disable: Callable[[Destination], Awaitable[None]]
    ended: Callable[[Job], Awaitable[None]]
    herald: Herald
    spool: ResultFiles
    sealer: Sealer
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


class Outcomes:
    """Saves outcomes. What begins to be saved is saved and passed on to its end, whatever becomes of the attempt's task."""

    def __init__(self, queue: Queue, around: Surroundings, *, conditions: Conditions, schedule: Schedule) -> None:
        self._queue = queue
        self._around = around
        self._conditions = conditions
        self._schedule = schedule
        self._closing = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    async def tell(self, job: Job, outcome: Outcome) -> None:
        """Return when the outcome is saved and passed on; cancelled, leave that to go on alone. Raises LeaseLost, StoreError.

        An outcome that was just saved ends the lease, and whoever looks after leases cancels the task that had it.
        """
        task = asyncio.create_task(self._tell(job, outcome))
        self._telling.add(task)
        task.add_done_callback(self._told)
        await asyncio.shield(task)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()  # who was cancelled meanwhile, as the lease is lost, does not hear of it

    async def _tell(self, job: Job, outcome: Outcome) -> None:
        is_well: object = False
        try:
            is_well = await outcome()
        finally:
            if is_well is not True:
                await self._conditions.probe_again(job.account, job.lane)

    async def close(self) -> None:
        """Return when nothing is being saved any more; what the disk does not take now, is given up."""
        self._closing.set()
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def delivered(self, tracking: Tracking) -> bool:
        """All files have arrived."""
        is_well = await self._conditions.delivered(tracking.job.account, tracking.job.lane)
        await self._end(tracking, states.SUCCESS, f"Delivered: {tracking.delivery.files_total} files.")
        return is_well

    async def skipped(self, tracking: Tracking, reason: str) -> None:
        """There was no point in an attempt."""
        await self._end(tracking, states.SKIPPED, reason)

    async def gone(self, tracking: Tracking) -> None:
        """The result set is no more."""
        await self._kept(tracking.job, lambda: self._queue.remove(tracking.job.account, tracking.job.id))

    async def set_aside(self, tracking: Tracking, crashes: int) -> None:
        """Attempts ended the whole service; the storage is not even told to forget its uploads: that may be what ends it."""
        if tracking.delivery.checkpoints:
            log.warning("the unfinished uploads of delivery %s, which is set aside, are left behind", tracking.job.id)
        tracking.note(lambda delivery: delivery.with_(checkpoints={}))
        text = f"Set aside: {crashes} attempts in a row ended with the whole service."
        await self._end(tracking, states.FAILED, text, code="internal_error")

    async def failed(self, tracking: Tracking, errand: Errand, failure: ProviderFailure, *, began: float) -> None:
        """An upload failed in an attempt that began then."""
        hopeless = False
        if not isinstance(failure, FileDamaged | FileTooLarge | KeyTooLong | ClockSkew):  # others may do well
            # Noted before the job gives its place to another one, which must not be tried in vain.
            place = (tracking.job.account, tracking.job.lane)
            hopeless = await self._conditions.failed(*place, failure, began=began)
        if not (failure.transient and await self._retry(tracking, failure)):
            await self._end(tracking, states.FAILED, f"{failure} {failure.hint}", code=failure.code)
        if hopeless:
            await self._around.disable(errand.destination)

    async def outdated(self, tracking: Tracking, failure: ProviderFailure) -> None:
        """An upload failed at what the destination no longer is: that says nothing of what it is now."""
        before = tracking.delivery
        text = f"Attempt {before.attempts} failed: {failure} The destination was changed meanwhile: once more."
        await self._again(tracking, text, failures=before.failures, code=failure.code, wait=0)

    async def at_fault(self, tracking: Tracking) -> None:
        """The service could not do its part."""
        fault = StoreError("The service could not do its part.")
        if not await self._retry(tracking, fault):
            await self._end(tracking, states.FAILED, str(fault), code="internal_error")

    async def _retry(self, tracking: Tracking, failure: ConsigneeError) -> bool:
        """Have the job tried again; return whether there is another attempt left."""
        failures = tracking.delivery.failures + 1
        wait = self._schedule.wait(failures, retry_after=getattr(failure, "retry_after", None))
        if wait is None:
            return False
        text = f"Attempt {tracking.delivery.attempts} failed: {failure} Next attempt in {wait:.0f} s."
        await self._again(tracking, text, failures=failures, code=failure.code, wait=wait)
        return True

    async def _again(self, tracking: Tracking, text: str, *, failures: int, code: str, wait: float) -> None:
        delivery = tracking.delivery.with_entry(self._time(), text)
        delivery = delivery.with_(status=states.RETRYING, failures=failures, code=code)
        due = self._around.now() + wait
        await self._kept(tracking.job, lambda: self._queue.retry(tracking.job, delivery.to_data(), due=due))

    async def _end(self, tracking: Tracking, status: str, text: str, *, code: str | None = None) -> None:
        delivery = tracking.delivery.with_entry(self._time(), text)
        delivery = delivery.with_(status=status, code=code, failures=0, ended_at=timestamp(self._time()))
        job = await self._kept(tracking.job, lambda: self._queue.acknowledge(tracking.job, _settled(delivery)))
        await self._around.herald.ended(job.account, delivery, tracking.destination_type)
        if delivery.checkpoints:
            self._around.abandoning.soon(replace(job, data=delivery.to_data()))
        await self._kept(job, lambda: self._around.ended(job))

    async def _kept(self, job: Job, save: Callable[[], Awaitable[_T]]) -> _T:
        """Save, again and again if the disk fails: all that was sent would be sent anew; raises StoreError at the end."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await save()
            except StoreError as error:
                log.error("the outcome of job %s could not be kept: %s", job.id, error, extra={"account": job.account})
                if self._closing.is_set():
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            pause = min(2 * pause, LONGEST_PAUSE)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._around.now(), UTC)


def _settled(delivery: Delivery) -> dict[str, Any]:
    """The delivery as it is kept when nobody goes on with it."""
    return delivery.with_(checkpoints={}).to_data()
