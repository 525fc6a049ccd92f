"""Sets are made durable in groups: what happens to one of them is its own concern."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from consignee.delivery.folder import Folder
from consignee.delivery.intake import HELD, SMALL_BYTES, Intake
from consignee.delivery.keeping import FILES, GROUPS
from consignee.delivery.spool_intake import SpoolIntake
from consignee.errors import StoreError
from delivery.spooling import arriving, content, lying_in, opened


class Gated(ThreadPoolExecutor):
    """Counts calls; what is called waits until the gate is open."""

    def __init__(self) -> None:
        super().__init__(GROUPS)
        self.gate = threading.Event()
        self.gate.set()
        self.calls = 0
        self.refuses = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Count, then wait in the thread."""
        self.calls += 1
        if self.refuses:
            raise RuntimeError("can't start new thread")

        def waiting() -> Any:
            assert self.gate.wait(30)
            return fn(*args, **kwargs)

        return super().submit(waiting)


async def test_sets_that_are_kept_meanwhile_are_the_next_group(tmp_path: Path) -> None:
    """However many they are, one that can't be moved fails alone."""
    executor, begun = Gated(), asyncio.Event()
    spool = await opened(tmp_path, executor=executor)
    count = GROUPS + 5

    async def one(number: int) -> tuple[str, Any]:
        async with spool.intake() as intake:
            file = await intake.add("a", arriving(b"%d" % number))
            if number == count - 1:
                (tmp_path / "incoming" / intake.token).touch()
            if number == 0:
                begun.set()
            return await intake.keep(), file

    before = executor.calls
    executor.gate.clear()
    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await begun.wait()
    await asyncio.sleep(0)
    executor.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    (tmp_path / "incoming").joinpath(*[path.name for path in (tmp_path / "incoming").iterdir()]).unlink()
    assert isinstance(done[-1], StoreError)
    kept = [each for each in done if not isinstance(each, BaseException)]
    assert len(kept) == count - 1
    assert executor.calls - before == GROUPS + 1 + 1  # and one that removes what could not be kept
    for number, (token, file) in enumerate(kept):
        assert await content(spool, token, 0, file) == b"%d" % number
    assert len(lying_in(tmp_path)) == 2 * len(kept)
    executor.shutdown()


async def test_nobody_waits_for_ever_when_there_is_no_thread_to_be_had(tmp_path: Path) -> None:
    """Not those either who wait for others to be kept first."""
    executor = Gated()
    spool = await opened(tmp_path, executor=executor)

    async def one() -> str:
        async with spool.intake() as intake:
            await _fill(intake, 1)
            return await intake.keep()

    executor.gate.clear()
    tasks = [asyncio.create_task(one()) for _ in range(GROUPS + 3)]
    for _ in range(3):
        await asyncio.sleep(0)
    executor.refuses = True
    executor.gate.set()
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    executor.refuses = False
    assert [isinstance(each, RuntimeError) for each in done] == [False] * GROUPS + [True] * 3
    assert await one() not in done
    executor.shutdown()


async def test_a_file_that_can_not_be_closed_does_not_keep_a_folder_from_being_removed(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    folder = Folder(tmp_path / "incoming" / "1", tmp_path / "kept")
    folder.write({0: b"x", 1: b"y"})
    os.close(folder._unsynced[-1])
    assert _open_in(tmp_path) == 1
    folder.discard()
    assert (_open_in(tmp_path), lying_in(tmp_path)) == (0, [])


async def test_a_group_has_so_many_files_at_most(tmp_path: Path) -> None:
    executor = Gated()
    spool = await opened(tmp_path, executor=executor)
    each = HELD - 1
    in_one_group = FILES // (each + 1)

    async def one() -> str:
        async with spool.intake() as intake:
            await _fill(intake, each)
            return await intake.keep()

    before = executor.calls
    executor.gate.clear()
    tasks = [asyncio.create_task(one()) for _ in range(GROUPS + in_one_group + 1)]
    for _ in range(each + 2):
        await asyncio.sleep(0)
    executor.gate.set()
    assert len(set(await asyncio.gather(*tasks))) == len(tasks)
    assert executor.calls - before == GROUPS + 2
    executor.shutdown()


async def _fill(intake: Intake, count: int) -> None:
    for number in range(count):
        await intake.add(str(number), arriving(b"x"))


async def test_small_files_beyond_a_few_are_written_before_all_are_there(tmp_path: Path) -> None:
    """What waits in memory is bounded, and a file that is not small does not wait at all."""
    spool = await opened(tmp_path)
    async with spool.intake() as intake:
        await _fill(intake, HELD - 1)
        assert lying_in(tmp_path) == []
        await intake.add("last", arriving(b"y"))
        assert len(lying_in(tmp_path)) == 1 + HELD
        await intake.add("another", arriving(b"z"))
        await intake.add("larger", arriving(bytes(SMALL_BYTES + 1)))
        assert len(lying_in(tmp_path)) == 1 + HELD + 2
        token, files = await intake.keep(), intake.files
    assert [await content(spool, token, number, files[number]) for number in (0, HELD - 1, HELD)] == [b"x", b"y", b"z"]


async def test_an_intake_has_no_file_open_between_two_of_its_own(tmp_path: Path) -> None:
    """However many small ones it has taken in, whether or not one that is not small came between."""
    spool = await opened(tmp_path)
    async with spool.intake() as intake:
        await _fill(intake, 3 * HELD - 1)
        await intake.add("larger", arriving(bytes(SMALL_BYTES + 1)))
        assert _open_in(tmp_path / "incoming") == 0
        await intake.keep()
        assert _open_in(tmp_path / "kept") == 0


def _open_in(place: Path) -> int:
    """Return how many files below a place this process has open, as far as the system tells."""
    names = [f"/proc/self/fd/{name}" for name in os.listdir("/dev/fd")]
    return sum(os.readlink(name).startswith(str(place)) for name in names if os.path.islink(name))


async def test_a_folder_that_was_begun_is_used_and_removed(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    async with spool.intake() as intake:
        await intake.begin()
        assert len(lying_in(tmp_path)) == 1
        await intake.add("a", arriving(b"x"))
        await intake.keep()
    async with spool.intake() as intake:
        await intake.begin()
    assert len(lying_in(tmp_path)) == 2


async def test_what_is_no_fault_of_the_disk_is_raised_as_it_is(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    async with spool.intake() as intake:
        await intake.add("a", arriving(b"x"))
        assert isinstance(intake, SpoolIntake)
        intake._held[1] = None  # type: ignore[assignment]
        with pytest.raises(TypeError):
            await intake.keep()
    assert lying_in(tmp_path) == []
