"""Files are taken in one by one, in bounded memory; whatever goes wrong, all of the set are kept or nothing is left."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from consignee.delivery.spool import Spool
from consignee.errors import InvalidRequest
from delivery.spooling import arriving, kept, lying_in, opened


@pytest.fixture
async def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return await opened(tmp_path / "spool")


@pytest.mark.parametrize("name", ["a/b", "", "..", "_manifest.json", "e\u0301"])
async def test_a_bad_or_repeated_name_leaves_nothing(spool: Spool, tmp_path: Path, name: str) -> None:
    async def receive() -> None:
        async with spool.intake(reserved=["_manifest.json"]) as intake:
            await intake.add("\xe9", arriving(b"fine"))
            await intake.add(name, arriving(b"x"))

    with pytest.raises(InvalidRequest) as caught:
        await receive()
    assert list(caught.value.errors) == ["files"]
    assert lying_in(tmp_path / "spool") == []


async def test_too_many_files_or_bytes_leave_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_files=2, most_bytes=10)
    await spool.open()
    await kept(spool, [("a", b"12345"), ("b", b"67890")])
    before = lying_in(tmp_path)
    with pytest.raises(InvalidRequest, match="files") as many:
        await kept(spool, [("a", b""), ("b", b""), ("c", b"")])
    with pytest.raises(InvalidRequest, match="files") as large:
        await kept(spool, [("a", b"12345"), ("b", b"678901")])
    assert many.value.errors == {"files": ["must not be more than 2"]}
    assert large.value.errors == {"files": ["must not be larger than 10 bytes in all"]}
    assert lying_in(tmp_path) == before


async def test_a_stream_over_the_limit_is_not_read_to_its_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=1000)
    await spool.open()
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield bytes(100)

    async with spool.intake() as intake:
        with pytest.raises(InvalidRequest):
            await intake.add("a", endless())
    assert read == 1100


async def test_a_set_without_files_is_refused(spool: Spool, tmp_path: Path) -> None:
    async with spool.intake() as intake:
        with pytest.raises(InvalidRequest, match="files"):
            await intake.keep()
    assert lying_in(tmp_path / "spool") == []


async def test_an_intake_that_is_left_without_keeping_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    async with spool.intake() as intake:
        await intake.add("a", arriving(bytes(10**6)))
        await intake.add("b", arriving(b"x"))
        assert len(lying_in(tmp_path / "spool")) == 2
    assert lying_in(tmp_path / "spool") == []


async def broken_off(size: int) -> AsyncIterator[bytes]:
    """Send `size` bytes, then be gone."""
    yield bytes(size)
    raise ConnectionResetError("gone")


@pytest.mark.parametrize("size", [10, 10**6])
async def test_a_sender_that_goes_away_leaves_nothing(spool: Spool, tmp_path: Path, size: int) -> None:
    """Its error is passed on as it is: it is no fault of the disk."""

    async def receive() -> None:
        async with spool.intake() as intake:
            await intake.add("a", arriving(b"x"))
            await intake.add("b", broken_off(size))

    with pytest.raises(ConnectionResetError, match="gone"):
        await receive()
    assert lying_in(tmp_path / "spool") == []


async def test_after_a_failure_the_rest_can_not_be_kept(spool: Spool, tmp_path: Path) -> None:
    """Even where the failure is caught: a set is whole, or there is none."""
    async with spool.intake() as intake:
        await intake.add("a", arriving(b"x"))
        with pytest.raises(ConnectionResetError):
            await intake.add("b", broken_off(10))
        with pytest.raises(RuntimeError, match="after a failure"):
            await intake.add("c", arriving(b"x"))
        with pytest.raises(RuntimeError, match="after a failure"):
            await intake.keep()
    assert lying_in(tmp_path / "spool") == []


async def test_two_files_at_once_are_refused(spool: Spool) -> None:
    """A file is known by its number, so the order must be certain."""
    async with spool.intake() as intake:

        async def nested() -> AsyncIterator[bytes]:
            yield b"x"
            with pytest.raises(RuntimeError, match="one file at a time"):
                await intake.add("b", arriving(b"y"))

        await intake.add("a", nested())
        assert [file.name for file in intake.files] == ["a"]


async def test_a_cancelled_sender_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    half_way = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield bytes(10**6)
        half_way.set()
        await asyncio.Event().wait()

    async def receive() -> None:
        async with spool.intake() as intake:
            await intake.add("a", stalled())

    task = asyncio.create_task(receive())
    await half_way.wait()
    assert lying_in(tmp_path / "spool") != []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lying_in(tmp_path / "spool") == []


class Counting(ThreadPoolExecutor):
    """Calls `on_call` on the event loop, with its number, whenever a call is handed to a thread."""

    def __init__(self, on_call: Callable[[int], object]) -> None:
        super().__init__(1)
        self._on_call = on_call
        self.calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Count, then go on."""
        self.calls += 1
        self._on_call(self.calls)
        return super().submit(fn, *args, **kwargs)


CALLS = ["open", "folder", "end of the first", "second, and move"]


@pytest.mark.parametrize("call", CALLS[1:])
async def test_a_cancellation_while_a_thread_works_leaves_nothing(tmp_path: Path, call: str) -> None:
    """At any call: also in the very move to its place, after which nobody would know the token."""
    tasks: list[asyncio.Task[object]] = []
    executor = Counting(lambda number: tasks[0].cancel() if number == CALLS.index(call) + 1 else None)
    spool = Spool(tmp_path / "spool", executor=executor)
    await spool.open()
    tasks.append(asyncio.create_task(kept(spool, [("a", bytes(10**6)), ("b", b"x")])))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    executor.shutdown()
    assert lying_in(tmp_path / "spool") == []


async def test_small_chunks_are_gathered_before_a_thread_is_asked(tmp_path: Path) -> None:
    executor = Counting(lambda _: None)
    spool = Spool(tmp_path, executor=executor)
    await spool.open()
    async with spool.intake() as intake:
        before = executor.calls
        await intake.add("a", arriving(*[bytes(100)] * 10_000))
        assert executor.calls - before == 4
        await intake.add("b", arriving(b"x", b"y"))
        await intake.add("c", arriving(b"z"))
        await intake.keep()
        assert executor.calls - before == 5
    executor.shutdown()


async def test_the_memory_of_a_stream_is_bounded(spool: Spool) -> None:
    """Whatever its size and that of its chunks; what the whole process takes is measured elsewhere."""

    async def large() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(100_000)

    async with spool.intake() as intake:
        tracemalloc.start()
        file = await intake.add("a", large())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert file.size == 30_000_000
    assert peak < 2_000_000
