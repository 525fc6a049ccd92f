"""The thread that writes: groups, and callers that went away."""

import asyncio
import gc
import threading
from collections.abc import Mapping, Sequence

import pytest

from consignee.errors import StoreError
from consignee.store.index import Change, Share
from consignee.store.writer import Writer

CHANGES = [Change("kind", "a", str(n), 1, b"") for n in range(9)]


class Disk:
    """Takes groups when it is told to go on, and remembers them."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.settled: list[str | None] = []
        self.go = threading.Event()

    def write(self, changes: Sequence[Change]) -> Mapping[Share, StoreError]:
        assert self.go.wait(10)
        self.groups.append(len(changes))
        return {}

    def settle(self, change: Change, failure: StoreError | None) -> None:
        self.settled.append(str(failure) if failure else None)


async def test_all_who_wait_are_one_group() -> None:
    disk = Disk()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)
    answers = [writer.submit(change) for change in CHANGES]
    disk.go.set()
    assert await asyncio.gather(*answers) == [None] * 9
    assert disk.groups == [1, 8]
    writer.end()


async def test_an_answer_that_nobody_wants_breaks_nothing() -> None:
    disk = Disk()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)
    answers = [writer.submit(change) for change in CHANGES]
    answers[0].cancel()
    answers[4].cancel()
    disk.go.set()
    await writer.idle()
    assert disk.settled == [None] * 9
    assert [answer.cancelled() for answer in answers].count(True) == 2
    writer.end()


async def test_a_fault_in_the_writing_is_told_to_all() -> None:
    def write(changes: Sequence[Change]) -> Mapping[Share, StoreError]:
        raise ZeroDivisionError

    disk = Disk()
    writer = Writer(write=write, settle=disk.settle, rest=lambda _: None)
    failures = await asyncio.gather(*(writer.submit(change) for change in CHANGES))
    assert {str(failure) for failure in failures} == {"the store failed unexpectedly: ZeroDivisionError"}
    assert len(disk.settled) == 9
    assert None not in disk.settled
    writer.end()


async def test_other_work_is_done_between_groups() -> None:
    """It is asked for whether or not somebody waits, and told which."""
    disk = Disk()
    disk.go.set()
    asked: list[bool] = []

    def rest(waiting: bool) -> None:
        asked.append(waiting)

    writer = Writer(write=disk.write, settle=disk.settle, rest=rest)
    await asyncio.gather(*(writer.submit(change) for change in CHANGES))
    assert asked == [True, True, False]
    writer.end()


async def test_who_is_answered_may_be_in_the_very_next_group() -> None:
    """So many that save again and again share each commit: none of them is left for a group of its own."""
    disk = Disk()
    disk.go.set()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)

    async def save(change: Change) -> None:
        for _ in range(5):
            assert await writer.submit(change) is None

    await asyncio.gather(*map(save, CHANGES))
    assert disk.groups[2:-1] == [9] * len(disk.groups[2:-1])
    assert sum(disk.groups) == 5 * len(CHANGES)
    await writer.idle()
    writer.end()


async def test_what_a_job_raises_is_raised_where_it_is_awaited() -> None:
    disk = Disk()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)

    def job() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.run(job)
    assert await writer.run(lambda: 5) == 5
    writer.end()


async def test_several_can_wait_until_nothing_is_under_way() -> None:
    """One that gives up takes nothing from the others."""
    disk = Disk()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)
    writer.submit(CHANGES[0])
    waiters = [asyncio.create_task(writer.idle()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    disk.go.set()
    await asyncio.gather(*waiters[1:])
    assert disk.groups == [1]
    writer.end()


def test_the_thread_outlives_a_loop_that_ends_first() -> None:
    """What it has to tell is then told to nobody, and it goes on to its end."""
    disk = Disk()
    kept: list[Writer] = []

    async def begin() -> None:
        kept.append(Writer(write=disk.write, settle=disk.settle, rest=lambda _: None))
        kept[0].submit(CHANGES[0])

    asyncio.run(begin())
    disk.go.set()
    kept[0].end()
    assert disk.groups == [1]
    assert disk.settled == []


async def test_a_writer_that_is_forgotten_leaves_no_thread() -> None:
    disk = Disk()
    disk.go.set()
    writer = Writer(write=disk.write, settle=disk.settle, rest=lambda _: None)
    thread = await writer.run(threading.current_thread)
    assert await writer.submit(CHANGES[0]) is None
    await writer.idle()
    del writer
    gc.collect()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
