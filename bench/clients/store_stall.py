"""How long the event loop stands still while documents are created, the file is written anew, and a long list is read.

SIZE DIRECTORY COUNT: the directory holds each document three times, so that its file is written anew in the first pause.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from consignee.store.json_file import JsonFileStore
from measuring import measured, spread
from store_documents import DATA, KIND, place

PERIOD: Final = 0.001
WRITERS: Final = 64


class Ticker:
    """A task that wants to run every millisecond, and notes the longest time by which it came too late.

    Time for which the whole process waited for the core while others had it is left out: that's the machine's, not ours.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        try:
            self._waits = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._waits = -1
        self._before = self._now()

    def __enter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    def __exit__(self, *_: object) -> None:
        self._note(self._now())
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self._before = self._now()
            await asyncio.sleep(PERIOD)
            self._note(self._now())

    def _note(self, now: tuple[float, float, float]) -> None:
        passed, waited, beside = (one - other for one, other in zip(now, self._before, strict=True))
        self.longest = max(self.longest, passed - PERIOD - max(0.0, waited - beside))

    def _now(self) -> tuple[float, float, float]:
        """Return seconds: the time, for how long this thread was ready but not run, and what our other threads ran."""
        waited = int(os.pread(self._waits, 100, 0).split()[1]) / 1e9 if self._waits >= 0 else 0.0
        return time.perf_counter(), waited, time.process_time() - time.thread_time()


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    while not condition():
        await asyncio.sleep(PERIOD)


async def main(size: int, directory: Path, count: int) -> None:
    """Create, let it compact and create meanwhile, read a list."""
    file = directory / f"{KIND}.jsonl"
    store = JsonFileStore(directory)
    await store.open()
    whole, first = file.stat().st_size, file.stat().st_ino

    async def create(number: int) -> None:
        await store.save(KIND, *place(size + number, 1), DATA)

    async def create_more(number: int) -> None:
        await create(count + number)

    with measured() as meter, Ticker() as creating:
        await spread(count, WRITERS, create)
        await until(lambda: (directory / f"{KIND}.jsonl.new").exists() or file.stat().st_ino != first)
        began = time.perf_counter()
        await spread(count, WRITERS, create_more)
        paused = time.perf_counter() - began
    assert file.stat().st_ino != first, "it was not written anew"
    assert file.stat().st_size < whole
    with Ticker() as listing:
        assert len(await store.list(KIND, place(0, 1)[0])) == size + 2 * count
    await store.close()
    meter.report(
        2 * count, stall_ms=creating.longest * 1000, saves_waited_seconds=paused, list_stall_ms=listing.longest * 1000
    )


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
