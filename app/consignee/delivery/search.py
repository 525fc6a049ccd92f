"""Which deliveries are looked for: found by their ids as far as these tell, and read only as far as that is needed."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from consignee.delivery import delivery as states
from consignee.queue import Job, Queue

READ_AT_ONCE: Final = 200
"""How many deliveries are read before others get their turn."""

Place = tuple[str, str]
"""When a delivery was created, and its id: neither changes, whatever becomes of it."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which deliveries a list holds; None is for all."""

    collection_id: str | None = None
    destination_id: str | None = None
    status: str | None = None


async def newest(
    queue: Queue, account: str, wanted: Filter, *, behind: Place | None = None
) -> AsyncGenerator[Job, None]:
    """Yield the jobs of the deliveries that are wanted, newest first; those `behind` that one, if given."""
    prefix = f"{wanted.collection_id}." if wanted.collection_id is not None else ""
    ids = await queue.ids(account, prefix=prefix)
    if behind is not None:
        del ids[await _end(queue, account, ids, behind) :]
    chosen = [one for one in ids if wanted.destination_id in (None, one.rpartition(".")[2])]
    for number, id_ in enumerate(reversed(chosen), 1):
        job = await queue.get(account, id_)
        if job is not None and wanted.status in (None, _status(job)):
            yield job
        if number % READ_AT_ONCE == 0:
            await asyncio.sleep(0)


def _status(job: Job) -> str:
    return states.UPLOADING if states.is_under_way(job) else str(job.data["status"])


async def _end(queue: Queue, account: str, ids: list[str], behind: Place) -> int:
    """How many of the ids stand behind that place; if it is removed, those that were created until then."""
    created_at, id_ = behind
    if id_ in ids:
        return ids.index(id_)
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if (job := await queue.get(account, ids[middle])) is None:
            del ids[middle]
            high -= 1
        elif job.data["created_at"] > created_at:
            high = middle
        else:
            low = middle + 1
    return low
