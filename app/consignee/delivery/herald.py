"""Tells of attempts and deliveries that have ended."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from consignee.delivery.delivery import Delivery
from consignee.delivery.result_set import ResultSet
from consignee.delivery.tracking import Tracking
from consignee.errors import ProviderFailure, StoreError
from consignee.events import AttemptEnded, DeliveryEnded, Events, ResultSetAccepted
from consignee.queue import LeaseLost
from consignee.service import KIND as DESTINATIONS
from consignee.store import Store

INTERRUPTED: Final = "interrupted"
"""The code of an attempt that did not come to an outcome of its own."""
FAULT: Final = "internal_error"


class Herald:
    """Tells those who listen to `events`; `store` knows the types of destinations. `now` returns seconds since 1970."""

    def __init__(
        self,
        events: Events,
        store: Store,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._store = store
        self._now = now
        self._clock = clock

    def accepted(self, result_set: ResultSet) -> None:
        """Tell that a result set was taken in."""
        if not self._events:
            return
        accepted = ResultSetAccepted(
            account=result_set.account,
            collection_id=result_set.collection_id,
            number=result_set.number,
            files=len(result_set.files),
            bytes=sum(file.size for file in result_set.files),
            destination_ids=tuple(result_set.destination_ids),
        )
        self._events.tell(accepted)

    @contextmanager
    def attempt(self, tracking: Tracking) -> Iterator[None]:
        """Tell how the attempt ended that is made within the context."""
        began, tracking.before = self._clock(), tracking.settled
        code: str | None = FAULT
        try:
            yield
            code = None
        except ProviderFailure as failure:
            code = failure.code
            raise
        except (LeaseLost, asyncio.CancelledError):
            code = INTERRUPTED
            raise
        finally:
            if self._events:
                self._events.tell(_attempt(tracking, code, self._clock() - began))
            tracking.before = tracking.settled

    async def ended(self, account: str, delivery: Delivery, destination_type: str | None = None) -> None:
        """Tell that a delivery came to rest; the type is looked up if it is None."""
        if not self._events:
            return
        if destination_type is None:
            destination_type = await self._type_of(account, delivery.destination_id)
        self._events.tell(_delivery(account, delivery, destination_type, self._now() - _asked_at(delivery)))

    async def _type_of(self, account: str, destination_id: str) -> str:
        try:
            document = await self._store.get(DESTINATIONS, account, destination_id)
        except StoreError:  # the end is saved: whoever is told of it next must hear of it all the same
            return ""
        return document.data.get("type", "") if document else ""


def _attempt(tracking: Tracking, code: str | None, seconds: float) -> AttemptEnded:
    delivery, job, arrived = tracking.delivery, tracking.job, tracking.arrived
    return AttemptEnded(
        account=job.account,
        delivery_id=job.id,
        collection_id=delivery.collection_id,
        number=delivery.number,
        destination_id=delivery.destination_id,
        destination_type=tracking.destination_type or "",
        attempt=job.attempt,
        ok=code is None,
        code=code,
        files=arrived.files,
        bytes=arrived.bytes,
        seconds=seconds,
    )


def _delivery(account: str, delivery: Delivery, destination_type: str, seconds: float) -> DeliveryEnded:
    return DeliveryEnded(
        account=account,
        delivery_id=delivery.id,
        collection_id=delivery.collection_id,
        number=delivery.number,
        destination_id=delivery.destination_id,
        destination_type=destination_type,
        status=delivery.status,
        code=delivery.code,
        attempts=delivery.attempts,
        files=delivery.files_sent,
        bytes=delivery.bytes_sent,
        seconds=max(seconds, 0.0),
    )


def _asked_at(delivery: Delivery) -> float:
    """Return when the delivery was asked for, the last time, in seconds since 1970."""
    return datetime.fromisoformat(delivery.asked_at).timestamp()
