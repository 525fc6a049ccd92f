"""What each client of the connectivity test measures: the first one of the process, cold ones, warm ones, and a crowd at once."""

import statistics
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from measuring import Meter, measured, spread

CROWD: Final = 200
COLD: Final = 5
WARM: Final = 6
CONTENT: Final = b"a small file that is written to see whether it can be, and is removed at once\n"
"""As long as the one of consignee."""
Test = Callable[[int], Awaitable[object]]
"""Uploads a file of its own, by that number, and deletes it; raises if that fails."""
Opened = Callable[[], AbstractAsyncContextManager[Test]]
"""Yields a test that has no connection yet, and must find one for each of a crowd."""


async def measure(opened: Opened, round_trip_ms: float, *, crowded: bool = True) -> None:
    """Print the sample. Rate is that of cold tests, one after the other; CPU that of one among a cold crowd, if there is one."""
    trip = round_trip_ms / 1000
    first, *cold = [await _cold(opened) for _ in range(1 + COLD)]
    async with opened() as test:
        crowds = [await _crowd(test) for _ in range(2 if crowded else 0)]
        await test(0)
        warm = [await _alone(test) for _ in range(WARM)]
    once, again = (statistics.median(meter.seconds for meter in meters) for meters in (cold, warm))
    total = Meter()
    total.seconds, total.cpu = sum(meter.seconds for meter in cold), sum(meter.cpu for meter in cold)
    figures = {
        "trips, first of the process": first.seconds / trip,
        "trips, cold": once / trip,
        "trips, warm": again / trip,
        "CPU ms, cold, alone": total.cpu / COLD * 1000,
        "CPU ms, warm, alone": sum(meter.cpu for meter in warm) / WARM * 1000,
    }
    if crowds:
        total.cpu = crowds[0].cpu / CROWD * COLD
        figures["CPU ms, warm"] = crowds[1].cpu / CROWD * 1000
        figures["200 at once / one, cold"] = crowds[0].seconds / once
        figures["200 at once / one, warm"] = crowds[1].seconds / again
    total.report(COLD, **figures)


async def _cold(opened: Opened) -> Meter:
    async with opened() as test:
        return await _alone(test)


async def _alone(test: Test) -> Meter:
    with measured() as meter:
        await test(0)
    return meter


async def _crowd(test: Test) -> Meter:
    with measured() as meter:
        await spread(CROWD, CROWD, test)
    return meter
