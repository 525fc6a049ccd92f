"""Messages to customers' webhooks: one for each time that a result set is complete, repeated until it arrives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from consignee.clock import timestamp
from consignee.collection import WEBHOOK_SECRET, Collection
from consignee.delivery import delivery as states
from consignee.delivery.delivery import time_of
from consignee.delivery.result_set import document_id
from consignee.delivery.schedule import Schedule
from consignee.delivery.webhook import Sent, payload
from consignee.errors import Conflict, NotFound
from consignee.events import Events, WebhookCalled
from consignee.queue import AT_ONCE, Census, Change, Job, LeaseLost, Queue
from consignee.secret import Secret
from consignee.subject import about

KIND: Final = "webhooks"
_ENTRIES: Final = 50
_NO_WEBHOOK: Final = "The collection has no webhook any more."

log = logging.getLogger(__name__)

Post = Callable[..., Awaitable[Sent]]
"""Sends one message: its URL and secret, and `id`, `timestamp` and `content` by name."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is known of the message about a result set; `serial` counts how often it was completed, `completion` is how."""

    collection_id: str
    number: int
    serial: int = 1
    completion: str = ""
    status: str = states.PENDING
    attempts: int = 0
    failures: int = 0
    code: str | None = None
    log: tuple[Mapping[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The id by which a receiver knows a repetition."""
        return f"msg_{self.collection_id}_{self.number}_{self.serial}"

    def with_entry(self, now: float, text: str) -> "Message":
        """Return the message with an entry in its log."""
        entry = {"date_time": timestamp(datetime.fromtimestamp(now, UTC)), "text": text}
        return replace(self, log=(*self.log, entry)[-_ENTRIES:])

    def to_data(self) -> dict[str, Any]:
        """Return the form in which a job holds it."""
        return {**vars(self), "log": list(self.log)}

    @classmethod
    def of(cls, job: Job) -> "Message":
        """Return the message that a job holds."""
        data: dict[str, Any] = {**job.data, "log": tuple(job.data["log"])}
        return cls(**data)


class Webhooks:
    """Keeps and sends the messages.

    `find` returns the collection, `view` the result set as it is answered; both raise NotFound.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        find: Callable[[str, str], Awaitable[Collection]],
        view: Callable[[str, str, int], Awaitable[Mapping[str, Any]]],
        post: Post,
        schedule: Schedule,
        crashes: int,
        now: Callable[[], float],
        events: Events | None = None,
    ) -> None:
        self._queue = queue
        self._find = find
        self._view = view
        self._post = post
        self._schedule = schedule
        self._crashes = crashes
        self._now = now
        self._events = Events() if events is None else events

    async def tell(
        self, account: str, collection_id: str, number: int, *, completion: str, skipped: bool = False
    ) -> None:
        """Have the webhook told that a result set is complete, once for each `completion`; raises StoreError.

        If `skipped`, it is noted that there was none to be told, so that nobody makes up for it later.
        """
        place, due = document_id(collection_id, number), None if skipped else AT_ONCE
        message = Message(collection_id=collection_id, number=number, completion=completion)
        while await self._queue.change(account, place, partial(self._again, completion, due)) is None:
            with suppress(Conflict):
                data = self._to_send(message, due).to_data()
                await self._queue.add(account, place, data, lane=collection_id, due=due)
                return

    async def resend(self, account: str, collection_id: str, number: int) -> None:
        """Send the message again, as one that the receiver already may know; raises NotFound."""

        def again(job: Job) -> Change:
            message = replace(Message.of(job), status=states.PENDING, failures=0, code=None)
            return Change(message.with_entry(self._now(), "Sending again was asked for.").to_data(), AT_ONCE)

        if await self._queue.change(account, document_id(collection_id, number), again) is None:
            raise NotFound("There was no message about this result set.")

    def _again(self, completion: str, due: float | None, job: Job) -> Change | None:
        before = Message.of(job)
        if before.completion == completion:
            return None
        fresh = replace(before, serial=before.serial + 1, completion=completion)
        return Change(self._to_send(replace(fresh, failures=0, code=None), due).to_data(), due)

    def _to_send(self, message: Message, due: float | None) -> Message:
        if due is None:
            return replace(message.with_entry(self._now(), _NO_WEBHOOK), status=states.SKIPPED)
        return replace(message.with_entry(self._now(), "Waiting to be sent."), status=states.PENDING)

    async def knows(self, account: str, result_set_id: str, completion: str) -> bool:
        """Whether there is a message about that completion already."""
        job = await self._queue.get(account, result_set_id)
        return job is not None and Message.of(job).completion == completion

    async def unfinished(self, account: str, result_set_id: str) -> bool:
        """Whether the message about a result set is still to be sent."""
        job = await self._queue.get(account, result_set_id)
        return job is not None and job.due is not None

    async def status(self, account: str, result_set_id: str) -> dict[str, Any] | None:
        """Return the message about a result set as it is answered, or None if there was none."""
        if (job := await self._queue.get(account, result_set_id)) is None:
            return None
        message = Message.of(job)
        return {
            "status": message.status,
            "log": list(message.log),
            "attempts": message.attempts,
            "next_attempt_at": time_of(job.due),
            "code": message.code,
        }

    async def census(self) -> Census:
        """Return how many messages are still to be sent."""
        return await self._queue.census()

    async def forget(self, account: str, result_set_id: str) -> None:
        """Drop the message about a result set."""
        await self._queue.remove(account, result_set_id)

    async def work(self, job: Job) -> None:
        """Make one attempt; raises LeaseLost, StoreError. Cancelled, it gives the job back."""
        about(account=job.account, collection=job.lane)
        try:
            await self._attempt(job, Message.of(job))
        except asyncio.CancelledError:
            with suppress(LeaseLost):
                await self._queue.release(job)
            raise

    async def _attempt(self, job: Job, message: Message) -> None:
        if job.crashes >= self._crashes:
            text = f"Set aside: {job.crashes} attempts in a row ended with the whole service."
            return await self._end(job, message, states.FAILED, text, code="internal_error")
        try:
            collection = await self._find(job.account, message.collection_id)
            view = await self._view(job.account, message.collection_id, message.number)
        except NotFound:
            return await self._queue.remove(job.account, job.id)
        if collection.notification_webhook is None or not collection.secrets:
            return await self._end(job, message, states.SKIPPED, _NO_WEBHOOK)
        return await self._send(job, message, collection, view)

    async def _send(self, job: Job, message: Message, collection: Collection, view: Mapping[str, Any]) -> None:
        secret: Secret = collection.secrets[WEBHOOK_SECRET]
        content = payload(collection.id, collection.name, view)
        sent = await self._post(
            collection.notification_webhook, secret, id=message.id, timestamp=int(self._now()), content=content
        )
        self._told(job.account, message, sent)
        message = replace(message, attempts=message.attempts + 1)
        if sent.ok:
            return await self._end(job, message, states.SUCCESS, f"Sent, answered with {sent.status}.")
        return await self._failed(job, message, sent)

    def _told(self, account: str, message: Message, sent: Sent) -> None:
        called = WebhookCalled(
            account=account,
            collection_id=message.collection_id,
            number=message.number,
            ok=sent.ok,
            code=sent.code,
            status=sent.status,
            seconds=sent.ms / 1000,
        )
        self._events.tell(called)

    async def _failed(self, job: Job, message: Message, sent: Sent) -> None:
        failures = message.failures + 1
        wait = self._schedule.wait(failures, retry_after=sent.retry_after) if sent.transient else None
        told = f"Attempt {message.attempts} failed: {sent.code}" + (f", status {sent.status}." if sent.status else ".")
        if wait is None:
            await self._end(job, message, states.FAILED, f"{told} It is not repeated.", code=sent.code)
        else:
            message = message.with_entry(self._now(), f"{told} Next attempt in {wait:.0f} s.")
            message = replace(message, status=states.RETRYING, failures=failures, code=sent.code)
            await self._queue.retry(job, message.to_data(), due=self._now() + wait)

    async def _end(self, job: Job, message: Message, status: str, text: str, *, code: str | None = None) -> None:
        ended = replace(message.with_entry(self._now(), text), status=status, code=code, failures=0)
        await self._queue.acknowledge(job, ended.to_data())
