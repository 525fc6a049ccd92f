"""Sends the files of one attempt, each in a place for uploads, and notes how each upload went."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from consignee.body import Body
from consignee.clock import timestamp
from consignee.delivery.reading import Reading
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import MANIFEST, ResultSet
from consignee.delivery.tracking import SealedCheckpoint, Tracking, WatchedBody
from consignee.destination import Destination, Draft
from consignee.errors import KeyTooLong, ProviderFailure
from consignee.path_prefix import key_in, render
from consignee.providers.base import Bucket
from consignee.queue import Job
from consignee.secret import Sealer


@dataclass(frozen=True, kw_only=True)
class Target:
    """A destination as it was read, with its `prefix`, and in which setting that is."""

    destination: Destination
    prefix: str
    prefix_field: str

    @cached_property
    def bucket(self) -> str:
        """A fingerprint of the bucket, and of the way there."""
        settings = {name: text for name, text in self.destination.settings.items() if name != self.prefix_field}
        return _fingerprint([self.destination.type, settings])

    @cached_property
    def place(self) -> str:
        """A fingerprint of where files go: when it changes, they all have to go there."""
        return f"{self.bucket}.{_fingerprint(self.prefix)}"


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a delivery is about, as it was found when an attempt began."""

    result_set: ResultSet
    target: Target

    @property
    def destination(self) -> Destination:
        """Where it goes."""
        return self.target.destination

    @cached_property
    def _folder(self) -> str:
        return render(self.target.prefix, self.result_set.tokens)

    def is_in_bucket_of(self, place: str) -> bool:
        """Whether that place, a target's, was in the same bucket, reached in the same way."""
        return place.partition(".")[0] == self.target.bucket

    def leads_where(self, before: "Errand") -> bool:
        """Whether its destination is reached in the same way as that of the other errand, and with the same keys."""
        return is_same_way(self.destination, before.destination)

    def key(self, name: str) -> str:
        """Return the key of a file; raises KeyTooLong."""
        try:
            return key_in(self._folder, name)
        except ValueError as error:
            raise KeyTooLong(str(error)) from None


def _fingerprint(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def is_same_way(one: Draft, other: Draft) -> bool:
    """Whether both are reached in the same way, with the same keys; their names tell nothing."""
    return (one.type, one.settings, one.secrets) == (other.type, other.settings, other.secrets)


def share_of(places: int) -> int:
    """Return how many of all places one account may have: others must never find them all taken."""
    return max(1, places * 3 // 4)


class Places:
    """Uploads at once: so many in all, three quarters of that to one account, and so many to one destination."""

    def __init__(self, total: int, *, each: int) -> None:
        self.each = each
        self.most = total
        self._total = asyncio.Semaphore(total)
        self._share = share_of(total)
        self._accounts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._lanes: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()

    @property
    def in_use(self) -> int:
        """How many uploads are under way."""
        return self.most - self._total._value

    def place(self, job: Job) -> "_Place":
        """Return a context that holds a place, after waiting for it."""
        lane = self._lanes.get((job.account, job.lane)) or asyncio.Semaphore(self.each)
        account = self._accounts.get(job.account) or asyncio.Semaphore(self._share)
        self._lanes[job.account, job.lane], self._accounts[job.account] = lane, account
        return _Place(lane, account, self._total)


class _Place:
    """A place at all of these, taken one after another."""

    def __init__(self, *places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = list[asyncio.Semaphore]()

    async def __aenter__(self) -> None:
        try:
            for place in self._places:
                await place.acquire()
                self._held.append(place)
        except asyncio.CancelledError:
            self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._held:
            self._held.pop().release()


class Sender:
    """Sends the files of one attempt that are not there yet. `now` returns seconds since 1970, `clock` measures."""

    def __init__(
        self,
        tracking: Tracking,
        errand: Errand,
        bucket: Bucket,
        *,
        places: Places,
        sealer: Sealer,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._tracking = tracking
        self._errand = errand
        self._bucket = bucket
        self._places = places
        self._sealer = sealer
        self._now = now
        self._clock = clock

    async def send_all(self, files: ResultFiles) -> None:
        """Send what is missing, the manifest last; raises a ProviderFailure, or what reading a file raises.

        After a failure nothing more is begun, but what is under way may end.
        """
        result_set = self._errand.result_set
        missing = [n for n in range(len(result_set.files)) if not self._tracking.delivery.is_sent(n)]
        reading, rest, failures = Reading(files, result_set, missing), iter(missing), list[Exception]()

        async def send() -> None:
            for index in rest:
                try:
                    body = await reading.body(index)
                    async with self._places.place(self._tracking.job):
                        if failures:
                            return
                        if len(senders) < most:  # there is always one that waits for the next place
                            senders.append(group.create_task(send()))
                        await self._send(index, result_set.files[index].name, body)
                except Exception as error:  # noqa: BLE001 - it is raised below
                    failures.append(error)
                if failures:
                    return

        most, senders = min(self._places.each, len(missing)) - 1, list[asyncio.Task[None]]()
        async with asyncio.TaskGroup() as group:
            await send()
        if failures:
            raise next((one for one in failures if not getattr(one, "transient", True)), failures[0])
        last = len(result_set.files)
        if result_set.manifest and not self._tracking.delivery.is_sent(last):
            async with self._places.place(self._tracking.job):
                await self._send(last, MANIFEST, result_set.manifest_body())

    async def _send(self, index: int, name: str, body: Body) -> None:
        key, began = self._errand.key(name), self._clock()
        try:
            await self._put(index, key, body)
        except ProviderFailure as failure:
            record = self._record(key, body.length, self._clock() - began, failure)
            self._tracking.note(lambda delivery: delivery.with_upload(record))
            raise
        record = self._record(key, body.length, self._clock() - began)
        self._tracking.note(lambda delivery: delivery.with_sent(index, body.length, record))

    async def _put(self, index: int, key: str, body: Body) -> None:
        sent, under_way = 0, self._tracking.under_way
        under_way[index] = 0

        def tell(count: int) -> None:
            nonlocal sent
            sent += count  # more than there is, if a part was sent twice
            if index in under_way:
                under_way[index] = min(max(sent, 0), body.length)

        try:
            await self._bucket.put(key, WatchedBody(body, tell), SealedCheckpoint(self._tracking, index, self._sealer))
        finally:
            del under_way[index]

    def _record(
        self, key: str, length: int, seconds: float, failure: ProviderFailure | None = None
    ) -> Mapping[str, Any]:
        return {
            "attempt": self._tracking.delivery.attempts,
            "at": timestamp(datetime.fromtimestamp(self._now(), UTC)),
            "key": key,
            "bytes": length,
            "ms": round(seconds * 1000),
            "ok": failure is None,
            "code": failure.code if failure else None,
            "provider_code": failure.provider_code if failure else None,
            "provider_request_id": failure.provider_request_id if failure else None,
        }
