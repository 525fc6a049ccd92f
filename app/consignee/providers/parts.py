"""Uploads in parts: written once, for every storage that has a begin, parts, and a completion.

An upload that was begun is in the checkpoint before its first part is sent, and each part that arrived is too: whoever goes on
later, sends only what is missing. A part that fails is sent again alone.
"""

import abc
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from consignee.body import Body
from consignee.errors import FileTooLarge, NotAStorageService, ProviderError, ProviderFailure
from consignee.providers.base import Bucket, Checkpoint
from consignee.transport import Parts

MEBIBYTE: Final = 1024 * 1024
LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries of one part, at most; who asks for more is left alone until the next attempt."""
ABORT_SECONDS: Final = 30.0
STOPPING_SECONDS: Final = 2.0
"""How long an upload that failed, or that is told to stop, waits for the storage to forget it."""


class UploadGone(Exception):
    """The storage does not know the upload (any more): completed, aborted, or expired."""


class UploadSpoiled(UploadGone):
    """The storage lacks parts that were sent, or has made another object of them: not done, whatever was asked before."""


class PartsBucket(Bucket):
    """A bucket that can take an object in parts. The first part has the number 1.

    `send_part`, `complete` and `abort` raise UploadGone if the storage does not know the upload, else a ProviderFailure.
    """

    most_parts: int = 10_000
    longest: int = 5 * 1024**4
    """The largest object, in bytes."""

    @abc.abstractmethod
    async def begin(self, key: str) -> str:
        """Begin an upload; return its id."""

    @abc.abstractmethod
    async def send_part(self, key: str, upload: str, number: int, body: Body) -> str:
        """Send one part; return the tag by which the completion names it."""

    @abc.abstractmethod
    async def complete(self, key: str, upload: str, tags: list[str], body: Body) -> None:
        """Make the object of its parts, and see from the answer that it is the one that was sent, where that is defined."""

    @abc.abstractmethod
    async def abort(self, key: str, upload: str) -> None:
        """Let the storage forget the upload and its parts."""

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:
        """Abort the upload of a checkpoint's state."""
        if "upload" in state:
            with suppress(UploadGone):
                await self.abort(key, state["upload"])

    async def put_in_parts(self, key: str, body: Body, checkpoint: Checkpoint | None, parts: Parts) -> None:
        """Write a large object; goes on from the checkpoint. Raises a ProviderFailure, OSError if it can't be read."""
        kept = checkpoint or Checkpoint()
        upload = _Upload(self, key, body, kept, parts)
        try:
            await upload.run()
        except BaseException:
            if checkpoint is None and kept.state:
                async with _briefly(ABORT_SECONDS):
                    await self.abandon(key, kept.state)
            raise


def part_size(length: int, *, smallest: int, most_parts: int) -> int:
    """Return how large each part but the last is, in bytes: whole mebibytes above the smallest size."""
    needed = -(-length // most_parts)
    return smallest if needed <= smallest else -(-needed // MEBIBYTE) * MEBIBYTE


class _Upload:
    """One attempt to upload one body."""

    def __init__(self, bucket: PartsBucket, key: str, body: Body, checkpoint: Checkpoint, parts: Parts) -> None:
        self._bucket = bucket
        self._key = key
        self._body = body
        self._checkpoint = checkpoint
        self._parts = parts
        self._saving = asyncio.Lock()
        self._alive = False  # whether the storage has shown in this attempt that it knows the upload

    async def run(self) -> None:
        """Go on with the upload of the checkpoint; begin anew if there is none, or if the storage has forgotten it."""
        if self._body.length > self._bucket.longest:
            raise FileTooLarge(f"The file is larger than the {self._bucket.longest} bytes that this storage takes.")
        if await self._resumable():
            with suppress(UploadGone):
                return await self._finish()
            await self._drop()
        await self._begin()
        try:
            await self._finish()
        except UploadGone as gone:
            await self._drop()
            await self._checkpoint.save({})
            raise ProviderError(
                str(gone) or "The storage has forgotten the upload while its parts were sent."
            ) from None

    async def _resumable(self) -> bool:
        """Return whether the checkpoint is of this very content; an upload of another is abandoned."""
        state = self._checkpoint.state
        if "upload" in state and (state["key"], state["sha256"]) == (self._key, self._body.sha256.hex()):
            return True
        await self._drop()
        return False

    async def _drop(self) -> None:
        """Abandon the upload of the checkpoint; that an upload may not be aborted is no reason not to begin another."""
        state = self._checkpoint.state
        try:
            await self._bucket.abandon(state.get("key", self._key), state)
        except ProviderFailure as failure:
            if failure.transient:
                raise

    async def _begin(self) -> None:
        size = part_size(self._body.length, smallest=self._parts.size, most_parts=self._bucket.most_parts)
        try:
            upload = await self._bucket.begin(self._key)
        except UploadGone:  # of an upload that there never was
            raise NotAStorageService("The endpoint does not begin an upload like a storage service.") from None
        state = {"upload": upload, "key": self._key, "sha256": self._body.sha256.hex(), "size": size, "tags": {}}
        if await self._body.is_sectioned(size):
            state["proven"] = True
        try:
            await self._checkpoint.save(state)
        except BaseException as error:
            # Nobody would know of it any more; but who is told to stop must not be held up.
            async with _briefly(STOPPING_SECONDS if isinstance(error, asyncio.CancelledError) else ABORT_SECONDS):
                await self._bucket.abort(self._key, upload)
            raise
        self._alive = True

    async def _finish(self) -> None:
        state = self._checkpoint.state
        if not await self._body.is_sectioned(state["size"]):
            state = self._checkpoint.state = {name: value for name, value in state.items() if name != "proven"}
        await self._send_missing(state)
        if "proven" not in self._checkpoint.state:
            # Some part was sent with the digest of what was read for it: only the whole shows whether that was the file.
            await self._body.verify()
        tags = self._checkpoint.state["tags"]
        await self._complete(state["upload"], [tags[str(number)] for number in range(1, len(tags) + 1)])
        await self._checkpoint.save({})

    async def _send_missing(self, state: Mapping[str, Any]) -> None:
        every = range(1, max(1, -(-self._body.length // state["size"])) + 1)
        missing = iter([number for number in every if str(number) not in state["tags"]])
        async with _first_failure(), asyncio.TaskGroup() as group:
            for _ in range(self._parts.at_once):
                group.create_task(self._send(missing, state["upload"], state["size"]))

    async def _send(self, numbers: Iterator[int], upload: str, size: int) -> None:
        for number in numbers:
            offset = (number - 1) * size
            part = await self._body.part(offset, min(size, self._body.length - offset))
            tag = await self._tried(partial(self._bucket.send_part, self._key, upload, number, part))
            self._alive = True
            async with self._saving:
                state = self._checkpoint.state
                await self._checkpoint.save({**state, "tags": {**state["tags"], str(number): tag}})

    async def _complete(self, upload: str, tags: list[str]) -> None:
        """Complete; an upload that was there, and is gone after a completion without a clear answer, was completed by that."""
        asked = 0

        async def complete() -> None:
            nonlocal asked
            asked += 1
            try:
                await self._bucket.complete(self._key, upload, tags, self._body)
            except UploadSpoiled:
                raise
            except UploadGone:
                if asked == 1 or not self._alive:
                    raise

        await self._tried(complete)

    async def _tried(self, do: Callable[[], Awaitable[Any]]) -> Any:
        pause = self._parts.pause
        for _ in range(self._parts.tries - 1):
            try:
                return await do()
            except ProviderFailure as failure:
                wait = max(min(pause, LONGEST_PAUSE), failure.retry_after or 0.0)
                if not failure.transient or wait > LONGEST_PAUSE:
                    raise
                await asyncio.sleep(wait)
                pause *= 2
        return await do()


@asynccontextmanager
async def _first_failure() -> AsyncIterator[None]:
    """Raise the first of the failures in a group by itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__


@asynccontextmanager
async def _briefly(seconds: float) -> AsyncIterator[None]:
    """Leave it at that if the storage fails to tidy up, or takes too long."""
    with suppress(ProviderFailure, UploadGone, TimeoutError):
        async with asyncio.timeout(seconds):
            yield
