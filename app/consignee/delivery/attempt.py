"""One attempt at a delivery: what is missing is sent, and what comes of it is told."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from consignee.delivery.conditions import Conditions
from consignee.delivery.delivery import Delivery, Progress
from consignee.delivery.engine import described
from consignee.delivery.outcomes import Outcome, Outcomes, Surroundings
from consignee.delivery.schedule import Schedule
from consignee.delivery.sending import Errand, Places, Sender
from consignee.delivery.tracking import Tracking
from consignee.errors import ProviderFailure, StoreError
from consignee.queue import Job, LeaseLost, Queue
from consignee.subject import about

log = logging.getLogger(__name__)


class Skipped(Exception):
    """There is no point in an attempt; the text tells the customer why."""


class Courier:
    """Works on the jobs of deliveries.

    A job is set aside after `crashes` attempts in a row that ended without a word, and without a file that arrived.
    """

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
        self._places = places
        self._crashes = crashes
        self._outcomes = Outcomes(queue, around, conditions=conditions, schedule=schedule)
        self._under_way: dict[tuple[str, str], Tracking] = {}

    @property
    def places(self) -> Places:
        """Those for uploads."""
        return self._places

    def under_way(self) -> list[Tracking]:
        """Return the attempts that are under way here."""
        return [*self._under_way.values()]

    def progress(self, job: Job) -> Progress | None:
        """Return how far the attempt at a job has come that is under way here; None if there is none."""
        tracking = self._under_way.get((job.account, job.id))
        return tracking.progress if tracking else None

    def renew(self, account: str, id: str) -> None:  # noqa: A002
        """Have what the attempt at a job knows sealed with the key that seals now."""
        if tracking := self._under_way.get((account, id)):
            tracking.renew(self._around.sealer)

    async def work(self, job: Job) -> None:
        """Make one attempt and save its outcome; raises LeaseLost, StoreError. Cancelled before that, it gives the job back."""
        about(account=job.account, destination=job.lane, delivery=job.id)
        place, tracking = (job.account, job.id), Tracking(self._queue, job)
        self._under_way[place] = tracking
        try:
            await self._outcomes.tell(job, await self._attempted(tracking))
        finally:
            if self._under_way.get(place) is tracking:
                del self._under_way[place]

    async def close(self) -> None:
        """Return when no outcome is being saved any more."""
        await self._outcomes.close()

    async def _attempted(self, tracking: Tracking) -> Outcome:
        """Make one attempt; return what comes of it."""
        try:
            return await self._attempt(tracking)
        except BaseException as end:
            if isinstance(end, asyncio.CancelledError):
                await self._give_back(tracking)
            await self._conditions.probe_again(tracking.job.account, tracking.job.lane)
            raise

    async def _give_back(self, tracking: Tracking) -> None:
        delivery = tracking.delivery.with_entry(self._time(), "Interrupted by a stop of the service.")
        with suppress(LeaseLost):
            await self._queue.release(tracking.job, delivery.to_data())

    async def _attempt(self, tracking: Tracking) -> Outcome:
        outcomes, job, began = self._outcomes, tracking.job, self._around.now()
        if job.crashes and (crashes := await self._interrupted(tracking)) >= self._crashes:
            return partial(outcomes.set_aside, tracking, crashes)
        try:
            if (errand := await self._around.find(job)) is None:
                return partial(outcomes.gone, tracking)
            if (failure := await self._deliver(tracking, errand)) is None:
                return partial(outcomes.delivered, tracking)
            if not await self._is_as_it_was(job, errand):
                return partial(outcomes.outdated, tracking, failure)
        except Skipped as reason:
            return partial(outcomes.skipped, tracking, str(reason))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours; the schedule keeps it from being repeated without end
            log.error("delivery %s could not be attempted: %s", job.id, described(error))
            return partial(outcomes.at_fault, tracking)
        return partial(outcomes.failed, tracking, errand, failure, began=began)

    async def _interrupted(self, tracking: Tracking) -> int:
        """Return how many attempts in a row ended without a word since the last one that got a file delivered."""
        job, crashes = tracking.job, tracking.job.crashes

        def interrupted(delivery: Delivery) -> Delivery:
            delivery = delivery.with_(attempts=job.attempt - 1)
            if crashes == 1 or delivery.files_sent > delivery.sent_at_crash:
                delivery = delivery.with_(spared=crashes - 1, sent_at_crash=delivery.files_sent)
            return delivery.with_entry(self._time(), f"An attempt was interrupted ({crashes} in a row).")

        tracking.note(interrupted)
        try:
            await tracking.save()  # now: this attempt may end as fast as the one before
        except StoreError as error:
            log.error("the interruption of delivery %s could not be noted: %s", job.id, error)
        return crashes - tracking.delivery.spared

    async def _is_as_it_was(self, job: Job, errand: Errand) -> bool:
        """Whether the destination is still reached in the same way, with the same keys; raises Skipped."""
        latest = await self._around.find(job)
        return latest is not None and latest.leads_where(errand)

    async def _deliver(self, tracking: Tracking, errand: Errand) -> ProviderFailure | None:
        """Send what is missing; return what is wrong with the destination."""
        around = self._around
        if tracking.delivery.place != errand.target.place:
            self._move(tracking, errand)
        tracking.note(lambda delivery: delivery.with_(attempts=tracking.job.attempt))
        tracking.destination_type = errand.destination.type
        try:
            with around.herald.attempt(tracking):
                await self._send(tracking, errand)
        except ProviderFailure as failure:
            return failure
        return None

    async def _send(self, tracking: Tracking, errand: Errand) -> None:
        around = self._around
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

    def _move(self, tracking: Tracking, errand: Errand) -> None:
        """Begin anew at another place; what is unfinished at the old one is abandoned, if it is in the same bucket."""
        before = tracking.delivery
        if errand.is_in_bucket_of(before.place):
            self._around.abandoning.soon(replace(tracking.job, data=before.to_data()), errand.destination)
        elif before.checkpoints:
            text = "the unfinished uploads of delivery %s are left behind: its destination leads to another bucket now"
            log.warning(text, tracking.job.id)
        tracking.note(lambda delivery: delivery.with_nothing_sent().with_(place=errand.target.place))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._around.now(), UTC)
