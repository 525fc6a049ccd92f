"""One attempt at a delivery: what is missing is sent, and what comes of it is decided and saved."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from consignee.clock import timestamp
from consignee.delivery import delivery as states
from consignee.delivery.abandoning import Abandoning, OpenBucket
from consignee.delivery.conditions import Conditions
from consignee.delivery.delivery import Delivery, Progress
from consignee.delivery.engine import described
from consignee.delivery.schedule import Schedule
from consignee.delivery.sending import Errand, Places, Sender
from consignee.delivery.spool import Spool
from consignee.delivery.tracking import Tracking
from consignee.destination import Destination
from consignee.errors import ConsigneeError, FileTooLarge, KeyTooLong, ProviderFailure, StoreError
from consignee.queue import Job, LeaseLost, Queue
from consignee.secret import Sealer

log = logging.getLogger(__name__)


class Skipped(Exception):
    """There is no point in an attempt; the text tells the customer why."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an attempt needs of the service.

    `find` returns what a job is about, None if that is gone, and raises Skipped; `disable` is told of a destination and why;
    `ended` of each job that came to rest. `now` returns seconds since 1970, `clock` measures.
    """

    find: Callable[[Job], Awaitable[Errand | None]]
    open_bucket: OpenBucket
    abandoning: Abandoning
    disable: Callable[[Destination, str], Awaitable[None]]
    ended: Callable[[Job], Awaitable[None]]
    spool: Spool
    sealer: Sealer
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


class Courier:
    """Works on the jobs of deliveries. A job is set aside after `crashes` attempts in a row that ended without a word."""

    def __init__(
        self,
        queue: Queue,
        around: Surroundings,
        *,
        conditions: Conditions,
        schedule: Schedule,
        places: Places,
        crashes: int,
    ) -> None:
        self._queue = queue
        self._around = around
        self._conditions = conditions
        self._schedule = schedule
        self._places = places
        self._crashes = crashes
        self._under_way: dict[tuple[str, str], Tracking] = {}

    def progress(self, job: Job) -> Progress | None:
        """Return how far the attempt at a job has come that is under way here; None if there is none."""
        tracking = self._under_way.get((job.account, job.id))
        return tracking.progress if tracking else None

    async def work(self, job: Job) -> None:
        """Make one attempt and save its outcome; raises LeaseLost, StoreError. Cancelled, it gives the job back."""
        place, tracking = (job.account, job.id), Tracking(self._queue, job)
        self._under_way[place] = tracking
        try:
            await self._attempt(tracking)
        except asyncio.CancelledError:
            delivery = tracking.delivery.with_entry(self._time(), "Interrupted by a stop of the service.")
            with suppress(LeaseLost):
                await self._queue.release(job, delivery.to_data())
            raise
        finally:
            if self._under_way.get(place) is tracking:
                del self._under_way[place]
            await self._conditions.probe_again(job.account, job.lane)

    async def _attempt(self, tracking: Tracking) -> None:
        job, failure = tracking.job, None
        if job.crashes:
            tracking.note(lambda delivery: self._interrupted(delivery, crashes=job.crashes, attempts=job.attempt - 1))
        if job.crashes >= self._crashes:
            return await self._set_aside(tracking)
        try:
            if (errand := await self._around.find(job)) is not None:
                failure = await self._deliver(tracking, errand)
        except Skipped as reason:
            return await self._end(tracking, states.SKIPPED, str(reason))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours; the schedule keeps it from being repeated without end
            return await self._at_fault(tracking, error)
        if errand is None:
            return await self._queue.remove(job.account, job.id)
        if failure is not None:
            return await self._failed(tracking, errand, failure)
        await self._end(tracking, states.SUCCESS, f"Delivered: {tracking.delivery.files_total} files.")
        return await self._conditions.succeeded(job.account, job.lane)

    def _interrupted(self, delivery: Delivery, *, crashes: int, attempts: int) -> Delivery:
        delivery = replace(delivery, attempts=attempts)
        return delivery.with_entry(self._time(), f"An attempt was interrupted ({crashes} in a row).")

    async def _set_aside(self, tracking: Tracking) -> None:
        text = f"Set aside: {tracking.job.crashes} attempts in a row ended with the whole service."
        await self._give_up(tracking, text, code="internal_error")

    async def _deliver(self, tracking: Tracking, errand: Errand) -> ProviderFailure | None:
        """Send what is missing; return what is wrong with the destination."""
        around, before = self._around, tracking.delivery
        if before.place != errand.place:
            tracking.note(lambda delivery: replace(delivery.with_nothing_sent(), place=errand.place))
        tracking.note(lambda delivery: replace(delivery, attempts=tracking.job.attempt))
        try:
            async with around.open_bucket(errand.destination) as bucket, tracking.saved_now_and_then():
                sender = Sender(
                    tracking,
                    errand,
                    bucket,
                    places=self._places,
                    sealer=around.sealer,
                    now=around.now,
                    clock=around.clock,
                )
                await sender.send_all(around.spool)
        except ProviderFailure as failure:
            return failure
        return None

    async def _failed(self, tracking: Tracking, errand: Errand, failure: ProviderFailure) -> None:
        place, hopeless = (tracking.job.account, tracking.job.lane), False
        if not isinstance(failure, FileTooLarge | KeyTooLong):  # those are of this file: others may do well
            # Noted before the job gives its place to another one, which must not be tried in vain.
            hopeless = await self._conditions.failed(*place, failure)
        if not (failure.transient and await self._retry(tracking, failure)):
            await self._give_up(tracking, f"{failure} {failure.hint}", code=failure.code)
        if hopeless:
            await self._around.disable(errand.destination, await self._conditions.disabled(*place))

    async def _at_fault(self, tracking: Tracking, error: Exception) -> None:
        log.error("delivery %s could not be attempted: %s", tracking.job.id, described(error))
        fault = StoreError("The service could not do its part.")
        if not await self._retry(tracking, fault):
            await self._give_up(tracking, str(fault), code="internal_error")

    async def _retry(self, tracking: Tracking, failure: ConsigneeError) -> bool:
        """Have the job tried again; return whether there is another attempt left."""
        failures = tracking.delivery.failures + 1
        wait = self._schedule.wait(failures, retry_after=getattr(failure, "retry_after", None))
        if wait is None:
            return False
        entry = f"Attempt {tracking.delivery.attempts} failed: {failure} Next attempt in {wait:.0f} s."
        delivery = tracking.delivery.with_entry(self._time(), entry)
        delivery = replace(delivery, status=states.RETRYING, failures=failures, code=failure.code)
        await self._queue.retry(tracking.job, delivery.to_data(), due=self._around.now() + wait)
        return True

    async def _give_up(self, tracking: Tracking, text: str, *, code: str) -> None:
        await self._around.abandoning.now(replace(tracking.job, data=tracking.delivery.to_data()))
        tracking.note(lambda delivery: replace(delivery, checkpoints={}))
        await self._end(tracking, states.FAILED, text, code=code)

    async def _end(self, tracking: Tracking, status: str, text: str, *, code: str | None = None) -> None:
        delivery = tracking.delivery.with_entry(self._time(), text)
        delivery = replace(delivery, status=status, code=code, failures=0, ended_at=timestamp(self._time()))
        await self._around.ended(await self._queue.acknowledge(tracking.job, delivery.to_data()))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._around.now(), UTC)
