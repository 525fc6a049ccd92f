"""Content that can be read again, from any offset."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from consignee.body import CHUNK_BYTES, Body, BytesBody, FileBody
from consignee.errors import FileDamaged
from consignee.testing.bodies import StreamedBody

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


async def test_what_is_in_memory_and_large_is_sent_in_pieces() -> None:
    """So that the progress of each is seen; an empty one is sent too."""
    content = os.urandom(2 * CHUNK_BYTES + 1)
    payload = BytesBody(content).payload()
    assert not isinstance(payload, bytes)
    pieces = [piece async for piece in payload]
    assert [len(piece) for piece in pieces] == [CHUNK_BYTES, CHUNK_BYTES, 1]
    assert b"".join(pieces) == content
    assert BytesBody(b"").payload() == b""


LARGE = os.urandom(2 * CHUNK_BYTES + 100)


@pytest.fixture
def file(tmp_path: Path) -> FileBody:
    """A file of more than two chunks."""
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    return FileBody(path, len(LARGE), hashlib.md5(LARGE).digest(), hashlib.sha256(LARGE).digest())


async def content_of(body: Body, offset: int = 0) -> bytes:
    """Return what is read from there."""
    return b"".join([chunk async for chunk in body.chunks(offset)])


def open_files(path: Path) -> list[str]:
    """Return the descriptors of this process that are of the file."""
    links = [Path("/dev/fd") / name for name in os.listdir("/dev/fd")]
    return [link.name for link in links if link.exists() and link.resolve() == path.resolve()]


@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, len(LARGE) - 1, len(LARGE)])
async def test_a_file_is_read_from_an_offset_as_often_as_asked(file: FileBody, offset: int) -> None:
    for _ in range(2):
        assert await content_of(file, offset) == LARGE[offset:]
    assert open_files(file.path) == []


async def test_a_file_is_never_whole_in_memory(file: FileBody) -> None:
    payload = file.payload()
    assert not isinstance(payload, bytes)
    assert max([len(chunk) async for chunk in payload]) <= CHUNK_BYTES


@pytest.mark.parametrize(("offset", "length"), [(0, len(LARGE)), (0, 0), (7, CHUNK_BYTES), (CHUNK_BYTES + 5, 90)])
async def test_a_section_has_its_own_content_and_digests(file: FileBody, offset: int, length: int) -> None:
    """Also a section of a section, and one of what is in memory."""
    for body in (file, BytesBody(LARGE)):
        part = await body.part(offset, length)
        wanted = LARGE[offset : offset + length]
        assert (part.length, await content_of(part)) == (length, wanted)
        assert (part.md5, part.sha256) == (hashlib.md5(wanted).digest(), hashlib.sha256(wanted).digest())
        inner = await part.part(length // 2, length // 4)
        assert await content_of(inner) == wanted[length // 2 : length // 2 + length // 4]
        assert await content_of(part, length // 2) == wanted[length // 2 :]


async def test_an_empty_file_has_no_content(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    empty = FileBody(tmp_path / "empty", 0, b"", hashlib.sha256().digest())
    assert await content_of(empty) == b""


async def test_a_file_that_became_shorter_is_noticed(file: FileBody) -> None:
    """Neither is less sent than was promised, nor waited for what will never come."""
    os.truncate(file.path, CHUNK_BYTES)
    with pytest.raises(FileDamaged, match="shorter"):
        await content_of(file)
    with pytest.raises(FileDamaged, match="shorter"):
        await file.part(CHUNK_BYTES - 1, 2)
    assert open_files(file.path) == []


async def collect(body: Body, out: list[bytes]) -> None:
    """Add what is read to what came out."""
    async for chunk in body.chunks():
        out.append(chunk)


@pytest.mark.parametrize("place", [0, CHUNK_BYTES, len(LARGE) - 1])
async def test_a_file_that_was_damaged_is_noticed_before_its_last_piece_goes_out(file: FileBody, place: int) -> None:
    damaged = bytearray(LARGE)
    damaged[place] ^= 4
    file.path.write_bytes(damaged)
    out: list[bytes] = []
    with pytest.raises(FileDamaged, match="damaged"):
        await collect(file, out)
    assert sum(map(len, out)) <= 2 * CHUNK_BYTES
    with pytest.raises(FileDamaged):
        await file.verify()
    part = await file.part(5, CHUNK_BYTES)
    file.path.write_bytes(bytes(len(LARGE)))
    with pytest.raises(FileDamaged):
        await part.verify()
    assert open_files(file.path) == []


async def test_a_sound_body_is_verified(file: FileBody) -> None:
    for body in (file, await file.part(9, CHUNK_BYTES), BytesBody(LARGE)):
        await body.verify()
        assert len(await content_of(body)) == body.length


async def test_a_file_that_became_longer_is_read_as_far_as_it_was(file: FileBody) -> None:
    with file.path.open("ab") as more:
        more.write(b"more")
    assert await content_of(file) == LARGE


async def test_a_file_that_is_gone_is_an_error_of_the_system(file: FileBody) -> None:
    file.path.unlink()
    with pytest.raises(FileNotFoundError):
        await content_of(file)
    with pytest.raises(FileNotFoundError):
        await file.part(0, 1)


async def test_a_file_that_is_not_read_to_its_end_is_closed(file: FileBody) -> None:
    chunks = file.chunks()
    assert await anext(chunks) == LARGE[:CHUNK_BYTES]
    assert len(open_files(file.path)) == 1
    await chunks.aclose()  # type: ignore[attr-defined]
    assert open_files(file.path) == []


async def test_a_file_is_not_left_open_by_who_is_cancelled_while_a_thread_opens_it(tmp_path: Path) -> None:
    """Otherwise a ResourceWarning would fail this."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    body = FileBody(path, len(CONTENT), hashlib.md5(CONTENT).digest(), hashlib.sha256(CONTENT).digest())
    for turns in range(100):
        verifying = asyncio.create_task(body.verify())
        for _ in range(1 + turns % 5):
            await asyncio.sleep(0)
        verifying.cancel()
        await asyncio.wait([verifying])
