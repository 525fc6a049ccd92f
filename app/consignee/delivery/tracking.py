"""What is known of an attempt while it lasts, and how that becomes durable without holding it up."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from consignee.body import Body
from consignee.carriage import Blocks
from consignee.delivery.delivery import KIND, Delivery, Progress
from consignee.errors import StoreError
from consignee.providers.base import Checkpoint
from consignee.queue import Job, LeaseLost, Queue
from consignee.sealed import resealed
from consignee.secret import Sealer, Secret

PERIOD: Final = 0.5
"""Seconds between two saves of an attempt that goes on: what was sent since the last one is sent again after a crash."""
TOLD_BYTES: Final = 1024 * 1024
"""How much a thread sends before it tells the loop: to wake it costs more than to send a piece."""


class Tracking:
    """The delivery of one leased job as it changes; what is changed while a save is under way goes with the next one."""

    def __init__(self, queue: Queue, job: Job) -> None:
        self.delivery = Delivery.of(job)
        self.job = job
        self.destination_type: str | None = None
        self.before = self.settled
        """What had arrived when the attempt began."""
        self.under_way: dict[int, int] = {}
        """Bytes that went out of each file whose upload is under way, by the file's number."""
        self._queue = queue
        self._changes = self._saved = 0
        self._saving = asyncio.Lock()

    @property
    def progress(self) -> Progress:
        """How far this attempt has come."""
        return Progress(self.delivery.files_sent, self.delivery.bytes_sent + sum(self.under_way.values()))

    @property
    def settled(self) -> Progress:
        """How many files, and bytes of them, have arrived so far."""
        return Progress(self.delivery.files_sent, self.delivery.bytes_sent)

    @property
    def arrived(self) -> Progress:
        """How many of them have arrived in this attempt, and were not told of yet."""
        settled = self.settled
        return Progress(settled.files - self.before.files, settled.bytes - self.before.bytes)

    def note(self, change: Callable[[Delivery], Delivery]) -> None:
        """Change the delivery; durable with the next save."""
        self.delivery = change(self.delivery)
        self._changes += 1

    async def save(self) -> None:
        """Return when all that was noted so far is durable; raises LeaseLost or StoreError."""
        needed = self._changes
        async with self._saving:
            if self._saved < needed:
                covered, sent = self._changes, self.delivery.checkpoints
                self.job = await self._queue.extend(self.job, self.delivery.to_data())
                self._saved = covered
                self._take_over(sent)

    def _take_over(self, sent: Mapping[str, str]) -> None:
        """What was saved in place of these checkpoints is sealed with the key that seals now."""
        saved: Mapping[str, str] = self.job.data["checkpoints"]
        latest = self.delivery.checkpoints
        kept = {index: saved.get(index, text) if sent.get(index) == text else text for index, text in latest.items()}
        self.delivery = self.delivery.with_(checkpoints=kept)

    def renew(self, sealer: Sealer) -> None:
        """Have the checkpoints sealed with the key that seals now, before the one that sealed them is forgotten."""
        anew = resealed(KIND, self.job.account, self.job.id, {"data": self.delivery.to_data()}, sealer)
        self.delivery = self.delivery.with_(checkpoints=anew["data"]["checkpoints"])

    @asynccontextmanager
    async def saved_now_and_then(self) -> AsyncIterator[None]:
        """Save what was noted, again and again, as long as the context lasts; most attempts end before the first time."""
        loop, saving = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        timer = loop.call_later(PERIOD, lambda: saving.append(loop.create_task(self._save_again_and_again())))
        try:
            yield
        finally:
            timer.cancel()
            for task in saving:
                task.cancel()
                await asyncio.wait([task])

    async def _save_again_and_again(self) -> None:
        with suppress(LeaseLost):  # whoever took the job away ends the attempt
            while True:
                with suppress(StoreError):  # the outcome is saved at the end, and that must not fail
                    await self.save()
                await asyncio.sleep(PERIOD)


class SealedCheckpoint(Checkpoint):
    """The checkpoint of one file, kept with the delivery; sealed, for some storage gives out addresses that are secrets."""

    def __init__(self, tracking: Tracking, index: int, sealer: Sealer) -> None:
        self._tracking = tracking
        self._index = str(index)
        self._sealer = sealer
        sealed = tracking.delivery.checkpoints.get(self._index)
        super().__init__({} if sealed is None else opened(tracking.job, self._index, sealed, sealer))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Keep the state durably."""
        self.state = state
        sealed = (
            self._sealer.seal(Secret(json.dumps(state)), **_bound(self._tracking.job, self._index)) if state else None
        )
        self._tracking.note(lambda delivery: delivery.with_checkpoint(self._index, sealed))
        await self._tracking.save()


def opened(job: Job, index: str, sealed: str, sealer: Sealer) -> Mapping[str, Any]:
    """Return the state of a sealed checkpoint; empty if it can't be opened: the upload then begins anew."""
    try:
        state: dict[str, Any] = json.loads(sealer.open(sealed, **_bound(job, index)).reveal())
    except StoreError:
        return {}
    return state


def _bound(job: Job, index: str) -> dict[str, Any]:
    return {"account": job.account, "id": job.id, "revision": 0, "field": f"checkpoint {index}"}


class WatchedBody(Body):
    """A body that tells how many bytes of it went out; what is sent again is taken back first."""

    def __init__(self, body: Body, tell: Callable[[int], None]) -> None:
        self._body = body
        self._tell = tell
        self.length, self.md5, self.sha256 = body.length, body.md5, body.sha256

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        told = 0
        whole = False
        chunks = self._body.chunks(offset)
        try:
            async for chunk in chunks:
                yield chunk
                told += len(chunk)
                self._tell(len(chunk))
            whole = True
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
            if not whole:
                self._tell(-told)

    def blocks(self) -> Blocks | None:
        """Return the content for a thread that sends it."""
        blocks = self._body.blocks()
        return None if blocks is None else self._watched(blocks, asyncio.get_running_loop())

    def _watched(self, blocks: Blocks, loop: asyncio.AbstractEventLoop) -> Blocks:
        told = untold = 0
        try:
            for block in blocks:
                yield block
                untold += len(block)
                if untold >= TOLD_BYTES:
                    loop.call_soon_threadsafe(self._tell, untold)
                    told, untold = told + untold, 0
            loop.call_soon_threadsafe(self._tell, untold)
            told = 0
        finally:
            blocks.close()
            loop.call_soon_threadsafe(self._tell, -told)

    def payload(self) -> bytes | AsyncIterator[bytes]:
        """Return the whole content; one that goes out at once needs no watching."""
        payload = self._body.payload()
        return payload if isinstance(payload, bytes) else self.chunks()

    async def verify(self) -> None:
        """Return if the content is still what its digests say; raises FileDamaged."""
        await self._body.verify()

    async def is_sectioned(self, size: int) -> bool:
        """Return whether the digests of its parts of that size are those that it had when it was taken in."""
        return await self._body.is_sectioned(size)

    async def part(self, offset: int, length: int) -> Body:
        """Return a section, watched too."""
        return WatchedBody(await self._body.part(offset, length), self._tell)
