"""What the spool does when the disk fails or is full, the process is killed, or the power is cut."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consignee.delivery.spool import Spool, SpooledFile
from consignee.errors import StoreError
from delivery.spooling import arriving, content, kept, lying_in, opened
from store.cut_disk import EXT4, CutDisk, why_not
from store.victim import TESTS

SIZES = (5, 300_000, 0)

WRITER = """
import asyncio, json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from delivery.spooling import kept, opened

async def main(path: Path) -> None:
    spool = await opened(path, executor=ThreadPoolExecutor(1))  # strace counts the calls of each thread
    while True:
        token, files = await kept(spool, [(str(size), b"x" * size) for size in (5, 300_000, 0)])
        print(json.dumps([token, [file.to_data() for file in files]]), flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""

STALLED = """
import asyncio, sys
from collections.abc import AsyncIterator
from pathlib import Path
from delivery.spooling import arriving, opened

async def chunks() -> AsyncIterator[bytes]:
    yield bytes(1_000_000)
    print("half way", flush=True)
    await asyncio.Event().wait()

async def main(path: Path) -> None:
    spool = await opened(path)
    async with spool.intake() as intake:
        await intake.add("a", arriving(b"whole"))
        await intake.add("b", chunks())

asyncio.run(main(Path(sys.argv[1])))
"""

RECEIVER = """
import asyncio, resource, sys
from collections.abc import AsyncIterator
from pathlib import Path
from delivery.spooling import opened

async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield bytes(65536)

async def main(path: Path) -> None:
    spool = await opened(path)
    for size in (2 << 20, 200 << 20):
        async with spool.intake() as intake:
            file = await intake.add("a", chunks(size))
        print(file.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


def command(program: str, directory: Path) -> list[str]:
    """Return how a program is started that works on the spool in a directory."""
    return [sys.executable, "-c", program, str(directory)]


def uncovered() -> dict[str, str]:
    """A process that is killed or measured must not also report its coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow over `size` bytes: the write that does is short, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [1000, 2_000_000], ids=["in the last write", "in the middle"])
async def test_a_short_write_refuses_the_set_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    spool = await opened(tmp_path)
    with file_size_limit(500), pytest.raises(StoreError) as caught:
        await kept(spool, [("a", b"fits"), ("b", b"x" * size)])
    assert str(caught.value) == "the files could not be stored: File too large"
    assert lying_in(tmp_path) == []
    token, files = await kept(spool, [("a", b"fits"), ("b", b"x" * size)])
    assert await content(spool, token, 1, files[1]) == b"x" * size


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="not root, or no mount")
async def test_a_full_disk_refuses_the_set_until_there_is_room(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("not allowed to mount")
    try:
        spool = await opened(tmp_path / "spool")
        token, files = await kept(spool, [("a", b"x" * 300_000)])
        with pytest.raises(StoreError, match="could not be stored: No space left on device"):
            await kept(spool, [("a", b"y" * 100_000), ("b", b"y" * 800_000)])
        assert lying_in(tmp_path / "spool") == [f"kept/{token}", f"kept/{token}/0"]
        assert await content(spool, token, 0, files[0]) == b"x" * 300_000
        await spool.remove(token)
        await kept(spool, [("a", b"y" * 100_000), ("b", b"y" * 800_000)])
        await spool.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_move_that_fails_leaves_nothing(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    async with spool.intake() as intake:
        await intake.add("a", arriving(b"x"))
        (tmp_path / "kept").rmdir()
        with pytest.raises(StoreError, match="could not be stored"):
            await intake.keep()
    assert lying_in(tmp_path) == []
    (tmp_path / "kept").touch()
    with pytest.raises(StoreError):
        await spool.tokens()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync:error=EIO:when=1", "fsync:error=EIO:when=4", "fsync:error=EIO:when=5"])
def test_what_can_not_be_synced_is_not_kept(tmp_path: Path, call: str) -> None:
    """The file, the folder with its names (after the three of the start), and the folder to which it was moved."""
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={call}"]
    if subprocess.run([*trace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("may not trace")
    line = [*trace, *command(WRITER, tmp_path / "spool")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=TESTS, env=uncovered(), timeout=60)
    assert "StoreError: the files could not be stored: Input/output error" in done.stderr
    assert done.stdout == ""
    assert lying_in(tmp_path / "spool") == []


@pytest.mark.parametrize("sets", [1, 4, 9])
async def test_a_killed_process_leaves_only_whole_sets(tmp_path: Path, sets: int) -> None:
    """All that it told of is there with its content, nothing is half there, and what was incoming is gone after the start."""
    line = command(WRITER, tmp_path)
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=TESTS, env=uncovered()) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(sets)]
        process.kill()
        told += [json.loads(rest) for rest in process.stdout.readlines()]
    spool = await opened(tmp_path)
    assert list((tmp_path / "incoming").iterdir()) == []
    tokens = await spool.tokens()
    assert {token for token, _ in told} <= set(tokens)
    assert len(tokens) <= len(told) + 1
    for token in tokens:
        assert [(tmp_path / "kept" / token / str(n)).read_bytes() for n in range(3)] == [b"x" * size for size in SIZES]
    for token, files in told:
        assert await content(spool, token, 1, SpooledFile.from_data(files[1])) == b"x" * SIZES[1]


async def test_a_start_after_a_kill_in_mid_stream_removes_the_half(tmp_path: Path) -> None:
    with subprocess.Popen(
        command(STALLED, tmp_path), stdout=subprocess.PIPE, text=True, cwd=TESTS, env=uncovered()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        process.kill()
    assert len(lying_in(tmp_path)) == 3
    spool = await opened(tmp_path)
    assert lying_in(tmp_path) == []
    assert await spool.tokens() == []


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """200 MiB against 2, in KiB of the whole process."""
    done = subprocess.run(
        command(RECEIVER, tmp_path), capture_output=True, text=True, check=True, cwd=TESTS, env=uncovered()
    )
    (small, before), (large, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (small, large) == (2 << 20, 200 << 20)
    assert after - before < 8 << 10


@pytest.mark.root
async def test_a_kept_set_survives_a_power_cut(tmp_path: Path) -> None:
    """What was kept is there with its content; what was removed does not come back."""
    if (reason := why_not(tmp_path, EXT4)) is not None:
        pytest.skip(f"no disk whose power could be cut: {reason}")
    (tmp_path / "place").mkdir()
    disk = CutDisk(tmp_path / "place", EXT4)
    with disk.mounted():
        spool = await opened(disk.path / "spool")
        removed, _ = await kept(spool, [("a", b"old")])
        token, files = await kept(spool, [(str(size), b"x" * size) for size in SIZES])
        await spool.remove(removed)
        copy = disk.cut()
        await spool.close()
    disk.restore(copy)
    with disk.mounted():
        again = Spool(disk.path / "spool")
        await again.open()
        assert await again.tokens() == [token]
        for number, file in enumerate(files):
            assert await content(again, token, number, file) == b"x" * SIZES[number]
        await again.close()
