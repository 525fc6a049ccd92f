"""Deliveries: planned for a result set, looked at, repeated, cancelled."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from consignee.clock import timestamp
from consignee.delivery import delivery as states
from consignee.delivery.attempt import Skipped
from consignee.delivery.delivery import Delivery, delivery_id
from consignee.delivery.herald import Herald
from consignee.delivery.result_set import ResultSet
from consignee.delivery.search import Filter, Place, newest
from consignee.destination import Destination
from consignee.errors import Conflict, NotFound
from consignee.queue import AT_ONCE, Census, Change, Job, Queue
from consignee.service import KIND as DESTINATIONS
from consignee.store import Store

AllEnded = Callable[[str, str, int, str], Awaitable[None]]
"""Told of a result set that is complete: its account, collection and number, and a fingerprint of how its deliveries ended."""

AFRESH = (states.SUCCESS, states.SKIPPED)


class Deliveries:
    """The deliveries of all accounts.

    `take_away` ends the attempt that is under way here, if there is one; `abandon` forgets the uploads that a job leaves.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        *,
        take_away: Callable[[str, str], Awaitable[None]],
        abandon: Callable[[Job, Destination | None], None],
        all_ended: AllEnded,
        herald: Herald,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._queue = queue
        self._take_away = take_away
        self._abandon = abandon
        self._all_ended = all_ended
        self._herald = herald
        self._now = now
        self.resent: list[Callable[[str, str], Awaitable[None]]] = []
        """Who is told, with account and id, of each result set that is delivered again."""

    def accepted(self, result_set: ResultSet) -> None:
        """Pass on that a result set was taken in."""
        self._herald.accepted(result_set)

    async def plan(self, result_set: ResultSet, destination_ids: Iterable[str] | None = None) -> None:
        """Add the deliveries of a result set that are not there yet; raises StoreError."""
        ids = result_set.destination_ids if destination_ids is None else destination_ids
        jobs = [await self._planned(result_set, one) for one in ids]
        if len(jobs) == 1:
            return await self._add(result_set.account, jobs[0])
        added = await asyncio.gather(*(self._add(result_set.account, job) for job in jobs), return_exceptions=True)
        for failure in filter(None, added):  # when none is being added any more
            raise failure
        return None

    async def _planned(self, result_set: ResultSet, destination_id: str) -> Delivery:
        now = self._now()
        delivery = Delivery(
            collection_id=result_set.collection_id,
            number=result_set.number,
            destination_id=destination_id,
            created_at=timestamp(now),
            files_total=result_set.files_total,
        )
        try:
            await self.require_enabled(result_set.account, destination_id)
        except Skipped as reason:
            return skipped(delivery, now, str(reason))
        return delivery.with_entry(now, "Waiting for upload.")

    async def require_enabled(self, account: str, destination_id: str) -> None:
        """Raise Skipped if nothing can be delivered to a destination."""
        document = await self._store.get(DESTINATIONS, account, destination_id)
        if document is None:
            raise Skipped("The destination was deleted.")
        if not document.data["enabled"]:
            raise Skipped("The destination is disabled.")

    async def _add(self, account: str, delivery: Delivery) -> None:
        due = AT_ONCE if delivery.status == states.PENDING else None
        with suppress(Conflict):  # it is there already
            await self._queue.add(account, delivery.id, delivery.to_data(), lane=delivery.destination_id, due=due)
            if due is None:
                await self._herald.ended(account, delivery)

    async def get(self, account: str, id: str) -> Job:  # noqa: A002
        """Return a delivery's job; raises NotFound."""
        if (job := await self._queue.get(account, id)) is None:
            raise NotFound("There is no such delivery.")
        return job

    async def list(
        self, account: str, wanted: Filter, *, most: int | None = None, behind: Place | None = None
    ) -> list[Job]:
        """Return the jobs of the deliveries that are wanted, newest first: at most so many, those `behind` that one."""
        jobs: list[Job] = []
        async with aclosing(newest(self._queue, account, wanted, behind=behind)) as found:
            async for job in found:
                if len(jobs) == most:
                    break
                jobs.append(job)
        return jobs

    async def of(self, account: str, result_set_id: str) -> dict[str, Job]:
        """Return the jobs of a result set by destination."""
        return {job.lane: job for job in await self._queue.list(account, prefix=f"{result_set_id}.")}

    async def census(self) -> Census:
        """Return how many deliveries are unfinished."""
        return await self._queue.census()

    async def ids(self, account: str, *, prefix: str = "") -> set[str]:
        """Return the ids of all deliveries of an account that begin so; cheap, none is read."""
        return set(await self._queue.ids(account, prefix=prefix))

    async def unfinished(self, account: str, result_set_id: str) -> bool:
        """Whether a delivery of the result set is under way or due."""
        return await self._queue.unfinished(account, prefix=f"{result_set_id}.")

    async def resend(self, result_set: ResultSet, destination_ids: Iterable[str]) -> None:
        """Deliver a result set again: to these destinations, also to those that were not meant before."""
        account = result_set.account
        for one in destination_ids:
            place = delivery_id(result_set.collection_id, result_set.number, one)
            if await self._queue.change(account, place, self._again) is None:
                await self.plan(result_set, [one])
            await self._queue.hold(account, one, None)
        await self._tell_resent(account, {result_set.id})
        await self.ended(account, result_set.id)

    async def resend_failed(self, account: str, destination_id: str, *, since: str = "") -> int:
        """Repeat what failed or was skipped at a destination since then (ISO 8601, UTC); return how many deliveries."""
        found = newest(self._queue, account, Filter(destination_id=destination_id))
        chosen = [job async for job in found if _failed_since(job, since)]
        for job in chosen:
            await self._queue.change(account, job.id, self._again)
        await self._queue.hold(account, destination_id, None)
        await self._tell_resent(account, {Delivery.of(job).result_set_id for job in chosen} if self.resent else ())
        return len(chosen)

    async def _tell_resent(self, account: str, result_set_ids: Iterable[str]) -> None:
        for watcher in self.resent:
            for one in result_set_ids:
                await watcher(account, one)

    def _again(self, job: Job) -> Change | None:
        if states.is_under_way(job):  # an attempt is under way: that is what was asked for
            return None
        now, delivery = self._now(), Delivery.of(job)
        if job.due is None:
            fresh = delivery.with_nothing_sent() if delivery.status in AFRESH else delivery
            delivery = fresh.with_(status=states.PENDING, failures=0, code=None, ended_at=None)
        return Change(delivery.with_entry(now, states.AGAIN).to_data(), AT_ONCE)

    async def cancel(self, destination: Destination, reason: str, *, under_way: bool = True) -> None:
        """Skip what is still to be delivered to a destination; if not `under_way`, only what waits.

        Raises StoreError if not all could be; then the rest is.
        """
        account, now, cancelled = destination.account, self._now(), dict[str, Job]()
        ends = dict[str, Delivery]()

        def decide(job: Job) -> Change | None:
            if job.due is None or (states.is_under_way(job) and not under_way):
                cancelled.pop(job.id, None)
                return None
            cancelled[job.id], ends[job.id] = job, skipped(Delivery.of(job), now, reason)
            return Change(ends[job.id].to_data(), None)

        found = newest(self._queue, account, Filter(destination_id=destination.id))
        meant = [job.id async for job in found if job.due is not None]
        changes = (self._queue.change(account, id_, decide) for id_ in meant)
        changed = zip(meant, await asyncio.gather(*changes, return_exceptions=True), strict=True)
        failures = {id_: failure for id_, failure in changed if isinstance(failure, BaseException)}
        for id_ in failures:
            cancelled.pop(id_, None)
        for job in cancelled.values():
            await self._take_away(account, job.id)
            self._abandon(job, destination)
            await self._herald.ended(account, ends[job.id], destination.type)
        for result_set_id in {Delivery.of(job).result_set_id for job in cancelled.values()}:
            await self.ended(account, result_set_id)
        for failure in failures.values():  # when all that was saved is passed on
            raise failure

    async def forget(self, account: str, result_set_id: str) -> None:
        """Remove the deliveries of a result set, also one that is under way."""
        for job in (await self.of(account, result_set_id)).values():
            await self._queue.change(account, job.id, _at_rest)
            await self._take_away(account, job.id)
            if (latest := await self._queue.get(account, job.id)) is not None:
                self._abandon(latest, None)
                await self._queue.remove(account, job.id)

    async def ended(self, account: str, result_set_id: str) -> None:
        """If no delivery of a result set is unfinished, tell that on."""
        if await self.unfinished(account, result_set_id):
            return
        jobs = await self.of(account, result_set_id)
        if all(job.due is None for job in jobs.values()):
            collection_id, _, number = result_set_id.partition(".")
            await self._all_ended(account, collection_id, int(number), _fingerprint(jobs))


def _at_rest(job: Job) -> Change | None:
    return None if job.due is None else Change(job.data, None)


def _fingerprint(jobs: Mapping[str, Job]) -> str:
    """Another one each time that the deliveries have ended anew, and always the same one for the same ends."""
    ends = sorted((lane, job.attempt, job.data["status"], job.data["ended_at"]) for lane, job in jobs.items())
    return hashlib.sha256(json.dumps(ends).encode()).hexdigest()[:16]


def skipped(delivery: Delivery, now: datetime, reason: str) -> Delivery:
    """Return the delivery, skipped for that reason."""
    ended = delivery.with_entry(now, reason).with_(status=states.SKIPPED, ended_at=timestamp(now))
    return ended.with_(checkpoints={}, failures=0, code=None)


def _failed_since(job: Job, since: str) -> bool:
    return job.data["status"] in (states.FAILED, states.SKIPPED) and (job.data["ended_at"] or "") >= since
