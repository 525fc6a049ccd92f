"""What a program hands over is read as it is asked for; small files of a list are read ahead together."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from consignee.body import CHUNK_BYTES
from consignee.delivery.intake import HELD, SMALL_BYTES
from consignee.delivery.sources import Source, opened
from delivery.spooling import arriving


async def _all(files: Iterable[Source]) -> dict[str, bytes]:
    return {name: b"".join([chunk async for chunk in chunks]) async for name, chunks in opened(files)}


async def test_every_kind_of_file_has_its_name_and_its_content(tmp_path: Path) -> None:
    """Of any number and size, in their order."""
    sizes = (0, 1, SMALL_BYTES, SMALL_BYTES + 1, 300_000)
    for size in sizes:
        (tmp_path / f"{size}").write_bytes(bytes([size % 251]) * size)
    paths: list[Source] = [*(tmp_path / f"{size}" for size in sizes), ("again", Path(tmp_path / "1"))]
    given: list[Source] = [*paths, str(tmp_path / "0"), ("bytes", b"b"), ("stream", arriving(b"c", b"d"))]
    given += [(f"more {number}", b"m") for number in range(2 * HELD)]
    found = await _all(given)
    assert list(found)[:7] == [*(str(size) for size in sizes), "again", "bytes"]
    assert [len(found[str(size)]) for size in sizes] == list(sizes)
    assert (found["again"], found["bytes"], found["stream"]) == (b"\x01", b"b", b"cd")
    assert len(found) == 8 + 2 * HELD


async def test_a_generator_is_asked_for_a_file_only_when_the_one_before_is_read(tmp_path: Path) -> None:
    """It may remove each one as soon as it is asked for the next."""

    def passing() -> Iterator[Source]:
        for number in range(3):
            path = tmp_path / "same"
            path.write_bytes(b"%d" % number)
            yield (str(number), path)
            path.unlink()

    assert await _all(passing()) == {"0": b"0", "1": b"1", "2": b"2"}


async def test_a_file_is_not_read_before_what_comes_before_it_is_made(tmp_path: Path) -> None:
    """A stream may write the file that follows it."""
    path = tmp_path / "after"
    path.write_bytes(b"old")

    async def stream() -> AsyncIterator[bytes]:
        path.write_bytes(b"new")
        yield b"s"

    assert await _all([("stream", stream()), path]) == {"stream": b"s", "after": b"new"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_file_of_which_the_system_reads_less_than_was_asked_for_is_read_whole() -> None:
    """As those of /proc are, a page at a time, and those of some disks over a network."""
    program = [sys.executable, "-c", "import ssl, sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        path = Path(f"/proc/{process.pid}/maps")
        whole = path.read_bytes()
        assert os.sysconf("SC_PAGE_SIZE") < len(whole)
        assert await _all([path]) == {"maps": whole}
        process.communicate()


async def test_a_file_that_can_not_be_read_is_told_of_when_it_is_its_turn(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x")
    files = opened([tmp_path / "there", tmp_path / "absent", tmp_path / "there"])
    assert [chunk async for chunk in (await anext(files))[1]] == [b"x"]
    name, chunks = await anext(files)
    with pytest.raises(FileNotFoundError):
        await anext(chunks)
    assert name == "absent"


async def test_a_file_is_closed_though_nobody_reads_it_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2 * CHUNK_BYTES))
    async with aclosing(opened([tmp_path / "large"])) as files:
        _, chunks = await anext(files)
        assert await anext(chunks)
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)


async def test_what_is_no_file_is_not_read_ahead(tmp_path: Path) -> None:
    """A directory fails in its turn; a pipe, which may block for ever, is not even opened."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "there").write_bytes(b"x")
    files = opened([tmp_path / "there", tmp_path / "pipe", tmp_path])
    assert (await anext(files))[0] == "there"
    assert (await anext(files))[0] == "pipe"
    _, chunks = await anext(files)
    with pytest.raises(IsADirectoryError):
        await anext(chunks)
    await files.aclose()
