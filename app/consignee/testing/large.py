"""What every Bucket promises of large bodies, be they sent in parts or not; a part of `BucketContract`."""

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from consignee.body import Body, BytesBody
from consignee.errors import BucketNotFound, CredentialsRejected
from consignee.providers.base import Checkpoint
from consignee.providers.parts import PartsBucket
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Parts

if TYPE_CHECKING:
    from consignee.testing.buckets import Subject


def content(parts: Parts, seed: int = 1) -> bytes:
    """Return what makes two whole parts and a short one, each of them different."""
    return random.Random(seed).randbytes(2 * parts.size + 1000)


class PartedBody(BytesBody):
    """Remembers which parts of it were asked for, by where they begin."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.taken: list[int] = []

    async def part(self, offset: int, length: int) -> Body:
        self.taken.append(offset)
        return await super().part(offset, length)


class StalledParts(Body):
    """A large body of which nothing comes; `begun` is set when it is asked for."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.md5, self.sha256 = bytes(16), bytes(32)
        self.begun = asyncio.Event()

    async def part(self, offset: int, length: int) -> Body:
        return self

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        self.begun.set()
        await asyncio.Event().wait()
        yield b""


class Stopped(Exception):
    """Stands for the end of the process."""


class StoppingCheckpoint(Checkpoint):
    """Ends the upload in place of the save after so many."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self._left = after

    async def save(self, state: Mapping[str, Any]) -> None:
        if not self._left:
            raise Stopped
        self._left -= 1
        await super().save(json.loads(json.dumps(state)))


class LargeBodies:
    """Inherited by the contract."""

    async def test_a_large_body_arrives_whole(self, subject: "Subject") -> None:
        data = content(subject.parts)
        async with subject.open() as bucket:
            await bucket.put("contract/large", BytesBody(data))
        assert await subject.read("contract/large") == data
        assert await subject.unfinished() == []

    async def test_a_large_body_replaces_what_is_there_and_can_be_deleted(self, subject: "Subject") -> None:
        """Once by another of the same size, once by a small one."""
        async with subject.open() as bucket:
            for data in (content(subject.parts, 1), content(subject.parts, 2), b"small"):
                await bucket.put("contract/large-replaced", BytesBody(data))
                assert await subject.read("contract/large-replaced") == data
            await bucket.delete("contract/large-replaced")
        assert "contract/large-replaced" not in await subject.keys()

    async def test_an_upload_goes_on_where_it_ended(self, subject: "Subject") -> None:
        """Another process has only the state; a part that it records as sent is not sent again."""
        body = PartedBody(content(subject.parts))
        checkpoint = await self._stop_after_one_part(subject, "contract/resumed", body)
        body.taken.clear()
        async with subject.open() as bucket:
            await bucket.put("contract/resumed", body, Checkpoint(checkpoint.state))
            if isinstance(bucket, PartsBucket):
                assert body.taken == [subject.parts.size, 2 * subject.parts.size]
        stored = await subject.read("contract/resumed")
        assert hashlib.sha256(stored).digest() == body.sha256
        assert await subject.unfinished() == []

    async def test_an_upload_that_is_given_up_leaves_nothing(self, subject: "Subject") -> None:
        """By its state alone, as often as it is asked for."""
        body = BytesBody(content(subject.parts))
        checkpoint = await self._stop_after_one_part(subject, "contract/abandoned", body)
        async with subject.open() as bucket:
            await bucket.delete("contract/abandoned")
            await bucket.abandon("contract/abandoned", checkpoint.state)
            await bucket.abandon("contract/abandoned", checkpoint.state)
        assert "contract/abandoned" not in await subject.keys()
        assert await subject.unfinished() == []

    async def _stop_after_one_part(self, subject: "Subject", key: str, body: Body) -> Checkpoint:
        checkpoint = StoppingCheckpoint(after=2)
        one_by_one = replace(subject, parts=replace(subject.parts, at_once=1))
        async with one_by_one.open() as bucket:
            with suppress(Stopped):
                await bucket.put(key, body, checkpoint)
        return checkpoint

    async def test_a_large_body_is_refused_as_a_small_one_is(self, subject: "Subject") -> None:
        """A wrong secret, and a bucket that does not exist."""
        body = BytesBody(content(subject.parts))
        async with subject.open(**subject.wrong_secret) as bucket:
            with pytest.raises(CredentialsRejected):
                await bucket.put("contract/large-refused", body)
        async with subject.open(**subject.no_bucket) as bucket:
            with pytest.raises(BucketNotFound):
                await bucket.put("contract/large-refused", body)
        assert "contract/large-refused" not in await subject.keys()

    async def test_who_may_not_delete_may_send_a_large_body(self, subject: "Subject") -> None:
        data = content(subject.parts)
        async with subject.open_forbidding() as bucket:
            await bucket.put("contract/large-stays", BytesBody(data))
        assert await subject.read("contract/large-stays") == data

    async def test_cancellation_of_a_large_body_leaves_nothing(self, subject: "Subject") -> None:
        """No object and no unfinished upload, as there is no checkpoint to go on from."""
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        body = StalledParts(2 * subject.parts.size + 1000)
        async with subject.open() as bucket:
            putting = asyncio.create_task(bucket.put("contract/large-cancelled", body))
            async with asyncio.timeout(30):
                await body.begun.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
        await assert_nothing_stays(tasks, sockets)
        assert "contract/large-cancelled" not in await subject.keys()
        assert await subject.unfinished() == []
