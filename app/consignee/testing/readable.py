"""What a Bucket promises besides, if the files of result sets can be kept in it: that it can be read."""

import asyncio
import random
from contextlib import aclosing
from typing import Final

import pytest

from consignee.body import BytesBody
from consignee.errors import BucketNotFound, CredentialsRejected
from consignee.providers import Bucket
from consignee.providers.base import Missing
from consignee.testing.buckets import ODD_KEYS, BucketContract, Subject
from consignee.testing.remnants import assert_nothing_stays, open_sockets

CONTENT: Final = random.Random(7).randbytes(3 * 1024 * 1024 + 17)
"""More than an answer to anything else may have."""
SECTIONS: Final = (
    (0, 1),
    (0, len(CONTENT)),
    (1, len(CONTENT) - 1),
    (len(CONTENT) - 1, 1),
    (1_000_000, 1_500_000),
    (70_000, 1),
)


async def section_of(bucket: Bucket, key: str, start: int, length: int) -> bytes:
    """Return what is read."""
    return b"".join([piece async for piece in bucket.read(key, start=start, length=length)])


class ReadableContract(BucketContract):
    """Inherit this in place of `BucketContract`; the subject's keys also have the right to read."""

    async def test_a_section_is_read_byte_for_byte(self, subject: Subject) -> None:
        """Also a large one, and as often as it is asked for."""
        async with subject.open() as bucket:
            await bucket.put("contract/read", BytesBody(CONTENT))
            for start, length in SECTIONS:
                assert await section_of(bucket, "contract/read", start, length) == CONTENT[start : start + length]

    async def test_several_are_read_at_once(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.put("contract/read-at-once", BytesBody(CONTENT[:200_000]))
            starts = range(0, 200_000, 40_000)
            found = await asyncio.gather(*(section_of(bucket, "contract/read-at-once", at, 40_000) for at in starts))
        assert b"".join(found) == CONTENT[:200_000]

    async def test_what_is_not_there_can_not_be_read(self, subject: Subject) -> None:
        """Neither an object that never was, nor one that is gone, nor what would lie behind the end of one."""
        async with subject.open() as bucket:
            await bucket.put("contract/short", BytesBody(b"0123456789"))
            await bucket.put("contract/read-gone", BytesBody(b"0123456789"))
            await bucket.delete("contract/read-gone")
            for key, start, length in (
                ("contract/never-was", 0, 1),
                ("contract/read-gone", 0, 10),
                ("contract/short", 10, 1),
                ("contract/short", 0, 11),
                ("contract/short", 9, 2),
            ):
                with pytest.raises(Missing):
                    await section_of(bucket, key, start, length)

    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: key[:12])
    async def test_an_object_with_an_odd_key_is_read(self, subject: Subject, key: str) -> None:
        key = key.encode()[: subject.longest].decode(errors="ignore")
        async with subject.open() as bucket:
            await bucket.put(key, BytesBody(b"<" + key.encode() + b">"))
            assert await section_of(bucket, key, 1, len(key.encode())) == key.encode()

    async def test_who_has_the_wrong_secret_can_not_read(self, subject: Subject) -> None:
        async with subject.open() as bucket:
            await bucket.put("contract/read-refused", BytesBody(b"x"))
        async with subject.open(**subject.wrong_secret) as bucket:
            with pytest.raises(CredentialsRejected):
                await section_of(bucket, "contract/read-refused", 0, 1)
        async with subject.open(**subject.no_bucket) as bucket:
            with pytest.raises(BucketNotFound):
                await section_of(bucket, "contract/read-refused", 0, 1)

    async def test_reading_that_ends_early_leaves_no_task_and_no_socket(self, subject: Subject) -> None:
        """And the bucket goes on working."""
        async with subject.open() as bucket:
            await bucket.put("contract/read-partly", BytesBody(CONTENT))
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with subject.open() as bucket:
            async with aclosing(bucket.read("contract/read-partly", start=0, length=len(CONTENT))) as pieces:
                first = await anext(pieces)
            assert CONTENT.startswith(first)
            assert await section_of(bucket, "contract/read-partly", 5, 5) == CONTENT[5:10]
        await assert_nothing_stays(tasks, sockets)
