"""The thread that writes: groups, and callers that went away."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

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
