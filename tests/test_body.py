"""Content that can be read again, from any offset."""

import hashlib

import pytest

from consignee.body import Body, BytesBody
from providers.contract import StreamedBody

CONTENT = bytes(range(256)) * 10


@pytest.mark.parametrize("body", [BytesBody(CONTENT), StreamedBody(CONTENT[:1000], CONTENT[1000:])])
async def test_it_knows_its_length_and_digests(body: Body) -> None:
    assert body.length == len(CONTENT)
    assert body.md5 == hashlib.md5(CONTENT).digest()
    assert body.sha256 == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize("body", [BytesBody(CONTENT), StreamedBody(CONTENT[:1000], CONTENT[1000:])])
@pytest.mark.parametrize("offset", [0, 1, 999, 1000, 1001, len(CONTENT), len(CONTENT) + 1])
async def test_it_is_read_from_an_offset_as_often_as_asked(body: Body, offset: int) -> None:
    for _ in range(2):
        assert b"".join([chunk async for chunk in body.chunks(offset)]) == CONTENT[offset:]


async def test_what_is_in_memory_is_sent_at_once_and_the_rest_in_chunks() -> None:
    assert BytesBody(CONTENT).payload() == CONTENT
    payload = StreamedBody(b"a", b"b").payload()
    assert not isinstance(payload, bytes)
    assert [chunk async for chunk in payload] == [b"a", b"b"]
