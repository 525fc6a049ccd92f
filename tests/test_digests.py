"""Digests of sections: what they are, that they are found again only for the content that they are of, and what they spare."""

import hashlib
import os
from pathlib import Path

import pytest

from consignee.body import FileBody
from consignee.digests import Checksum, Known, Sectioning, Sections
from consignee.errors import FileDamaged

SIZE = 1000
CONTENT = os.urandom(3 * SIZE + 10)


def checksum(data: bytes) -> bytes:
    """Return the checksum."""
    summed = Checksum()
    summed.update(data)
    return summed.digest()


def sections(content: bytes, *, step: int = 333, size: int = SIZE) -> Sections | None:
    """Return the sections of a content that arrives in pieces of `step` bytes."""
    sectioning = Sectioning(size)
    for start in range(0, len(content), step):
        sectioning.update(content[start : start + step])
    assert sectioning.whole.md5.digest() == hashlib.md5(content).digest()
    assert sectioning.whole.sha256.digest() == hashlib.sha256(content).digest()
    return sectioning.sections()


def body_of(path: Path, content: bytes, *, size: int = SIZE) -> FileBody:
    """Return the body of a new file, beside which the digests of its sections are kept."""
    path.write_bytes(content)
    found, sha256 = sections(content, size=size), hashlib.sha256(content).digest()
    assert found is not None
    found.write(path, sha256)
    return FileBody(path, len(content), hashlib.md5(content).digest(), sha256)


async def sent(body: FileBody, *, by_a_thread: bool) -> bytes:
    """Return what is read of a body that is sent."""
    if by_a_thread:
        return b"".join(bytes(block) for block in body.blocks())
    return b"".join([chunk async for chunk in body.chunks()])


@pytest.mark.parametrize("step", [1, 333, SIZE, 2 * SIZE + 1, len(CONTENT)])
@pytest.mark.parametrize("length", [SIZE + 1, 2 * SIZE - 1, 2 * SIZE, 2 * SIZE + 1, len(CONTENT)])
def test_each_section_has_its_digests(step: int, length: int) -> None:
    found = sections(CONTENT[:length], step=step)
    assert found is not None
    for offset in range(0, length, SIZE):
        section = CONTENT[offset : min(offset + SIZE, length)]
        wanted = Known(hashlib.md5(section).digest(), hashlib.sha256(section).digest(), checksum(section))
        assert found.known(offset, len(section)) == wanted


@pytest.mark.parametrize("length", [0, 1, SIZE - 1, SIZE])
def test_what_is_one_section_has_the_digests_of_the_whole_alone(length: int) -> None:
    assert sections(CONTENT[:length]) is None


@pytest.mark.parametrize(("offset", "length"), [(0, SIZE - 1), (1, SIZE), (0, 2 * SIZE), (3 * SIZE, 11), (4 * SIZE, 0)])
def test_nothing_is_known_of_other_sections(offset: int, length: int) -> None:
    found = sections(CONTENT)
    assert found is not None
    assert found.known(offset, length) is None


def test_they_are_kept_for_the_service_alone(tmp_path: Path) -> None:
    body_of(tmp_path / "file", CONTENT)
    assert (tmp_path / "file.sections").stat().st_mode & 0o777 == 0o600


def test_they_are_found_again_for_their_content_alone(tmp_path: Path) -> None:
    body = body_of(tmp_path / "file", CONTENT)
    assert Sections.read(body.path, body.length, body.sha256) == sections(CONTENT)
    assert Sections.read(body.path, body.length, bytes(32)) is None
    assert Sections.read(body.path, body.length + 1, body.sha256) is None
    assert Sections.read(tmp_path / "other", body.length, body.sha256) is None


def test_digests_that_are_damaged_are_none(tmp_path: Path) -> None:
    """A power cut may leave any of it, for it is not synced."""
    body = body_of(tmp_path / "file", CONTENT)
    beside = tmp_path / "file.sections"
    whole = beside.read_bytes()
    for place in range(len(whole)):
        beside.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert Sections.read(body.path, body.length, body.sha256) is None
        beside.write_bytes(whole[:place])
        assert Sections.read(body.path, body.length, body.sha256) is None


async def test_a_part_is_not_read_where_they_are_known(tmp_path: Path) -> None:
    body = body_of(tmp_path / "file", CONTENT)
    body.path.unlink()
    part = await body.part(SIZE, SIZE)
    section = CONTENT[SIZE : 2 * SIZE]
    assert (part.length, part.md5) == (SIZE, hashlib.md5(section).digest())
    assert part.sha256 == hashlib.sha256(section).digest()
    with pytest.raises(FileNotFoundError):
        await body.part(SIZE, SIZE - 1)


@pytest.mark.parametrize("by_a_thread", [True, False])
async def test_a_part_is_sent_as_it_was_taken_in_or_not_at_all(tmp_path: Path, *, by_a_thread: bool) -> None:
    """Whichever bit of it has changed since."""
    body = body_of(tmp_path / "file", CONTENT)
    parts = [await body.part(offset, min(SIZE, len(CONTENT) - offset)) for offset in range(0, len(CONTENT), SIZE)]
    for number, part in enumerate(parts):
        assert isinstance(part, FileBody)
        assert await sent(part, by_a_thread=by_a_thread) == CONTENT[number * SIZE :][: part.length]
        for place in (0, part.length // 2, part.length - 1):
            for bit in range(8):
                damaged = bytearray(CONTENT)
                damaged[number * SIZE + place] ^= 1 << bit
                body.path.write_bytes(damaged)
                with pytest.raises(FileDamaged, match="damaged"):
                    await sent(part, by_a_thread=by_a_thread)
        os.truncate(body.path, number * SIZE + part.length - 1)
        with pytest.raises(FileDamaged, match="shorter"):
            await sent(part, by_a_thread=by_a_thread)
        body.path.write_bytes(CONTENT)


async def test_it_is_told_whether_parts_of_a_size_have_them(tmp_path: Path) -> None:
    body = body_of(tmp_path / "file", CONTENT)
    assert await body.is_sectioned(SIZE)
    assert not await body.is_sectioned(SIZE + 1)
    (tmp_path / "file.sections").unlink()
    assert not await FileBody(body.path, body.length, body.md5, body.sha256).is_sectioned(SIZE)


async def test_a_section_of_a_section_is_read_for_its_digests(tmp_path: Path) -> None:
    part = await body_of(tmp_path / "file", CONTENT).part(SIZE, SIZE)
    inner = await part.part(10, 20)
    assert inner.md5 == hashlib.md5(CONTENT[SIZE + 10 : SIZE + 30]).digest()
    assert not await part.is_sectioned(SIZE)
