"""How large parts are, and what is too large for any number of them."""

from dataclasses import replace

import pytest

from consignee.body import BytesBody
from consignee.errors import FileTooLarge
from consignee.providers.parts import part_size
from providers.scripted_bucket import PARTS, ScriptedBucket

BODY = BytesBody(bytes(range(45)))


async def test_what_is_too_large_is_not_begun() -> None:
    bucket = ScriptedBucket()
    bucket.longest = 44
    with pytest.raises(FileTooLarge, match="44 bytes"):
        await bucket.put("key", BODY)
    assert bucket.calls == []


async def test_parts_grow_where_there_would_be_too_many() -> None:
    bucket = ScriptedBucket(replace(PARTS, at_once=1))
    bucket.most_parts = 2
    await bucket.put("key", BODY)
    assert bucket.calls == ["begin", "part 1", "complete"]


MIB, TIB = 1024**2, 1024**4


@pytest.mark.parametrize(
    ("length", "most_parts", "size", "count"),
    [
        (17 * MIB, 10_000, 16 * MIB, 2),
        (5 * 10**9, 10_000, 16 * MIB, 299),
        (160_000 * MIB, 10_000, 16 * MIB, 10_000),
        (160_000 * MIB + 1, 10_000, 17 * MIB, 9412),
        (5 * TIB, 10_000, 525 * MIB, 9987),
        (190 * TIB, 50_000, 3985 * MIB, 49_995),
    ],
)
def test_the_size_of_a_part(length: int, most_parts: int, size: int, count: int) -> None:
    """The smallest that keeps to the vendor's number of parts, in whole mebibytes."""
    assert part_size(length, smallest=16 * MIB, most_parts=most_parts) == size
    assert -(-length // size) == count <= most_parts
