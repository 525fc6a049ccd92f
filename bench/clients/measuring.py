"""How a contender in a process of its own reports: one line of JSON with what contest.Sample holds."""

import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Meter:
    """Counts what was done in the block that `measured` spans, and the CPU time of this process and its children."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0

    def report(self, count: float, **more: float) -> None:
        """Print the sample: `count` units were done."""
        memory = max(_own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
        print(json.dumps({"rate": count / self.seconds, "cpu": self.cpu / count, "memory": memory, "more": more}))


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _own_peak() -> int:
    """Return in KiB what `ru_maxrss` would say if it did not also count the process that this one was started from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def cpu_seconds() -> float:
    """Return what this process, and those of its children that have ended, have used of the CPU so far."""
    used = [resource.getrusage(who) for who in _WHO]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure what the block takes."""
    meter = Meter()
    began, used = time.perf_counter(), cpu_seconds()
    yield meter
    meter.seconds, meter.cpu = time.perf_counter() - began, cpu_seconds() - used


async def spread(count: int, at_once: int, one: Callable[[int], Awaitable[object]]) -> None:
    """Do `one` for each number below `count`, `at_once` of them together."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
