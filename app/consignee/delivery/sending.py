"""Sends the files of one attempt, each in a place for uploads, and notes how each upload went."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from consignee.body import Body
from consignee.clock import timestamp
from consignee.delivery.result_set import MANIFEST, ResultSet
from consignee.delivery.spool import Spool
from consignee.delivery.tracking import SealedCheckpoint, Tracking, WatchedBody
from consignee.destination import Destination, Draft
from consignee.errors import KeyTooLong, ProviderFailure
from consignee.path_prefix import object_key
from consignee.providers.base import Bucket
from consignee.queue import Job
from consignee.secret import Sealer


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a delivery is about, as it was found when an attempt began; `prefix` is the destination's, and in which setting."""

    result_set: ResultSet
    destination: Destination
    prefix: str
    prefix_field: str

    @property
    def place(self) -> str:
        """A fingerprint of where the files go: when it changes, they all have to go there."""
        return f"{self._bucket}.{_fingerprint(self.prefix)}"

    @property
    def _bucket(self) -> str:
        settings = {name: text for name, text in self.destination.settings.items() if name != self.prefix_field}
        return _fingerprint([self.destination.type, settings])

    def is_in_bucket_of(self, place: str) -> bool:
        """Whether that `place` was in the same bucket, reached in the same way."""
        return place.partition(".")[0] == self._bucket

    def leads_where(self, before: "Errand") -> bool:
        """Whether its destination is reached in the same way as that of the other errand, and with the same keys."""
        return is_same_way(self.destination, before.destination)

    def key(self, name: str) -> str:
        """Return the key of a file; raises KeyTooLong."""
        try:
            return object_key(self.prefix, self.result_set.tokens, name)
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
        self._total = asyncio.Semaphore(total)
        self._share = share_of(total)
        self._accounts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._lanes: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, job: Job) -> AsyncIterator[None]:
        """Hold a place, after waiting for it."""
        lane = self._lanes.get((job.account, job.lane)) or asyncio.Semaphore(self.each)
        account = self._accounts.get(job.account) or asyncio.Semaphore(self._share)
        self._lanes[job.account, job.lane], self._accounts[job.account] = lane, account
        async with lane, account, self._total:
            yield


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

    async def send_all(self, spool: Spool) -> None:
        """Send what is missing, the manifest last; raises a ProviderFailure, or what reading a file raises.

        After a failure nothing more is begun, but what is under way may end.
        """
        files = self._errand.result_set.files
        missing = iter([index for index in range(len(files)) if not self._tracking.delivery.is_sent(index)])
        failures: list[Exception] = []

        async def send() -> None:
            for index in missing:
                try:
                    await self._send(
                        index, files[index].name, spool.body(self._errand.result_set.token, index, files[index])
                    )
                except Exception as error:  # noqa: BLE001 - it is raised below
                    failures.append(error)
                if failures:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._places.each, len(files))):
                group.create_task(send())
        if failures:
            raise next((one for one in failures if not getattr(one, "transient", True)), failures[0])
        if self._errand.result_set.manifest and not self._tracking.delivery.is_sent(len(files)):
            await self._send(len(files), MANIFEST, self._errand.result_set.manifest_body())

    async def _send(self, index: int, name: str, body: Body) -> None:
        key = self._errand.key(name)
        async with self._places.place(self._tracking.job):
            began = self._clock()
            try:
                await self._put(index, key, body)
            except ProviderFailure as failure:
                self._note(key, body.length, self._clock() - began, failure)
                raise
            self._note(key, body.length, self._clock() - began)
            self._tracking.note(lambda delivery: delivery.with_sent(index, body.length))

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

    def _note(self, key: str, length: int, seconds: float, failure: ProviderFailure | None = None) -> None:
        record: Mapping[str, Any] = {
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
        self._tracking.note(lambda delivery: delivery.with_upload(record))
