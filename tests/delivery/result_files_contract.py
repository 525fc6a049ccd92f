"""What every place for the files of result sets promises: inherit this, and give a fixture `files` with an open, empty one."""

import asyncio
import hashlib
import random

import pytest

from consignee.delivery.intake import HELD, SMALL_BYTES
from consignee.delivery.result_files import ResultFiles
from consignee.errors import FileDamaged, InvalidRequest
from delivery.spooling import arriving
from delivery.stage import read, taken_in

DICE = random.Random(11)
CONTENTS = [
    b"one",
    b"",
    DICE.randbytes(300_000),
    b"x" * SMALL_BYTES,
    DICE.randbytes(65_536),
    DICE.randbytes(SMALL_BYTES + 1),
]
LARGE = DICE.randbytes(2 * 16 * 1024 * 1024 + 12_345)
"""Of three sections."""


class ResultFilesContract:
    """Holds for every implementation."""

    async def test_what_was_taken_in_is_read_byte_for_byte(self, files: ResultFiles) -> None:
        """With its digests, as often as it is asked for."""
        token, about = await taken_in(files, *CONTENTS)
        stored = files.stored(token, about)
        for number, content in enumerate(CONTENTS):
            body = stored.body(number)
            assert (body.length, body.md5) == (len(content), hashlib.md5(content).digest())
            assert body.sha256 == hashlib.sha256(content).digest()
            assert (about[number].size, about[number].sha256) == (len(content), body.sha256.hex())
            for _ in range(2):
                assert await read(files, token, about, number) == content
            await body.verify()

    @pytest.mark.parametrize("offset", [0, 1, 65_535, 65_536, 65_537, 200_000, 299_999])
    async def test_a_file_is_read_from_anywhere(self, files: ResultFiles, offset: int) -> None:
        token, about = await taken_in(files, *CONTENTS)
        body = files.stored(token, about).body(2)
        assert b"".join([chunk async for chunk in body.chunks(offset)]) == CONTENTS[2][offset:]

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 1), (299_999, 1), (1000, 250_000), (65_536, 65_536), (0, 300_000), (5, 0)]
    )
    async def test_a_section_of_a_file_can_be_read(self, files: ResultFiles, start: int, length: int) -> None:
        """For a download, of which nobody knows a digest."""
        token, about = await taken_in(files, *CONTENTS)
        section = files.stored(token, about).body(2).section(start, length)
        assert section.length == length
        assert b"".join([chunk async for chunk in section.chunks()]) == CONTENTS[2][start : start + length]

    async def test_a_part_has_its_own_digests(self, files: ResultFiles) -> None:
        token, about = await taken_in(files, *CONTENTS)
        part = await files.stored(token, about).body(2).part(100_000, 150_000)
        wanted = CONTENTS[2][100_000:250_000]
        assert (part.length, part.md5, part.sha256) == (
            150_000,
            hashlib.md5(wanted).digest(),
            hashlib.sha256(wanted).digest(),
        )
        assert b"".join([chunk async for chunk in part.chunks()]) == wanted
        assert b"".join([chunk async for chunk in part.chunks(149_999)]) == wanted[-1:]

    async def test_the_digests_of_the_parts_of_a_large_file_are_kept(self, files: ResultFiles) -> None:
        """Those of 16 MiB; of others they are made. A file behind a large one is found too."""
        token, about = await taken_in(files, b"before", LARGE, b"behind")
        body, size = files.stored(token, about).body(1), 16 * 1024 * 1024
        assert await body.is_sectioned(size)
        assert not await body.is_sectioned(size // 2)
        assert not await files.stored(token, about).body(0).is_sectioned(size)
        for offset, length in ((0, size), (size, size), (2 * size, 12_345), (size, size // 2)):
            part = await body.part(offset, length)
            assert part.sha256 == hashlib.sha256(LARGE[offset : offset + length]).digest()
            assert part.md5 == hashlib.md5(LARGE[offset : offset + length]).digest()
            read_again = b"".join([chunk async for chunk in part.chunks()])
            assert read_again == LARGE[offset : offset + length]
        assert await read(files, token, about, 1) == LARGE
        assert await read(files, token, about, 2) == b"behind"

    async def test_small_files_are_read_several_at_once(self, files: ResultFiles) -> None:
        """Each is there; also some that lie far from each other."""
        contents = [DICE.randbytes(size) for size in (0, 1, 100, SMALL_BYTES)] * (HELD // 4)
        token, about = await taken_in(files, *contents, DICE.randbytes(500_000), b"last")
        numbers = [*range(HELD), HELD + 1]
        found = await files.stored(token, about).contents(numbers)
        assert sorted(found) == numbers
        for number, content in zip(numbers, [*contents, b"last"], strict=True):
            assert b"".join([chunk async for chunk in found[number].chunks()]) == content
            assert found[number].sha256 == hashlib.sha256(content).digest()

    @pytest.mark.parametrize("size", [1, 999, 65_536, 300_000])
    async def test_chunks_of_any_size_make_the_same_file(self, files: ResultFiles, size: int) -> None:
        sent = CONTENTS[2][: 3000 * size]
        async with files.intake() as intake:
            file = await intake.add("a", arriving(*(sent[at : at + size] for at in range(0, len(sent), size))))
            token = await intake.keep()
        assert file.sha256 == hashlib.sha256(sent).hexdigest()
        assert await read(files, token, [file], 0) == sent

    async def test_many_intakes_at_once_stay_apart(self, files: ResultFiles) -> None:
        sets = await asyncio.gather(*(taken_in(files, b"%d" % n, bytes([n]) * 5000 * n) for n in range(30)))
        for n, (token, about) in enumerate(sets):
            assert await read(files, token, about, 0) == b"%d" % n
            assert await read(files, token, about, 1) == bytes([n]) * 5000 * n
        assert len({token for token, _ in sets}) == 30

    async def test_an_intake_takes_nothing_after_a_failure(self, files: ResultFiles) -> None:
        async with files.intake(reserved=["taken"]) as intake:
            await intake.begin()
            with pytest.raises(InvalidRequest):
                await intake.add("taken", arriving(b"x"))
            with pytest.raises(RuntimeError):
                await intake.add("other", arriving(b"x"))
            with pytest.raises(RuntimeError):
                await intake.keep()
        async with files.intake() as intake:
            with pytest.raises(InvalidRequest):
                await intake.keep()

    async def test_a_set_that_is_removed_is_gone(self, files: ResultFiles) -> None:
        """Its document between the two steps; as often as it is asked for, and no other set with it."""
        token, about = await taken_in(files, *CONTENTS)
        other, others = await taken_in(files, *CONTENTS)
        for _ in range(2):
            await files.release(token, about)
            await files.remove(token)
        with pytest.raises((OSError, FileDamaged)):
            await read(files, token, about, 2)
        assert await read(files, other, others, 2) == CONTENTS[2]

    @pytest.mark.parametrize("token", ["", ".", "..", "../kept", "a/b", "AB", "ab\n"])
    async def test_only_a_token_leads_to_files(self, files: ResultFiles, token: str) -> None:
        """A damaged record must not remove or send anything else."""
        _, about = await taken_in(files, b"x")
        with pytest.raises(ValueError, match="no token"):
            await files.remove(token)
        with pytest.raises(ValueError, match="no token"):
            files.stored(token, about).body(0)
