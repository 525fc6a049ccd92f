"""Counts unfinished jobs by what they wait for."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from consignee.queue import AT_ONCE, Census
from consignee.queue.lane import Waiting

COUNTED_AT_ONCE: Final = 2000
"""How many jobs are counted before others get their turn: about a third of a millisecond."""


async def census(jobs: Sequence[Waiting], *, now: float) -> Census:
    """Return how many of these jobs there are of each kind."""
    found = Census()
    for at in range(0, len(jobs), COUNTED_AT_ONCE):
        if at:
            await asyncio.sleep(0)
        found = _added(found, _counted(jobs[at : at + COUNTED_AT_ONCE], now))
    return found


def _counted(jobs: Iterable[Waiting], now: float) -> Census:
    due = under_way = scheduled = resting = 0
    oldest: float | None = None
    for job in jobs:
        if job.gone:
            continue
        if job.lease is not None:
            under_way += 1
        elif job.due > now:
            scheduled += 1
        elif job.lane.hold is not None:
            resting += 1
        else:
            due += 1
            since = job.came if job.due == AT_ONCE else job.due
            if oldest is None or since < oldest:
                oldest = since
    return Census(due=due, under_way=under_way, scheduled=scheduled, resting=resting, oldest=oldest)


def _added(one: Census, other: Census) -> Census:
    return Census(
        due=one.due + other.due,
        under_way=one.under_way + other.under_way,
        scheduled=one.scheduled + other.scheduled,
        resting=one.resting + other.resting,
        oldest=min((each.oldest for each in (one, other) if each.oldest is not None), default=None),
    )
