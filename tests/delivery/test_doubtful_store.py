"""A database that fails at any step of taking a result set in, at one step or some, before it did what was asked or after."""

import itertools
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from consignee.delivery.result_set import KIND
from consignee.delivery.results import ResultSets
from consignee.delivery.staging_notes import KIND as NOTES
from consignee.errors import StoreError
from consignee.store import Data, Document
from delivery.depot import depot
from delivery.spooling import arriving
from delivery.stage import Stage, moved_to, read
from sharing import SharedMemoryStore, opened

CONTENT = bytes(range(256)) * 600
_T = TypeVar("_T")


class DoubtfulStore(SharedMemoryStore):
    """Operations with those numbers fail: `late` ones when they are done. None are numbered before `failing` is set."""

    failing: Set[int] = frozenset()
    late = False
    done = 0

    async def _tried(self, do: Callable[[], Awaitable[_T]]) -> _T:
        number, self.done = self.done, self.done + 1
        if number not in self.failing:
            return await do()
        if self.late:
            await do()
        raise StoreError("the database can't be reached")

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        return await self._tried(lambda: SharedMemoryStore.get(self, kind, account, id))

    async def save(
        self,
        kind: str,
        account: str,
        id: str,  # noqa: A002
        data: Data,
        *,
        replaces: int = 0,
        limit: int | None = None,
    ) -> Document:
        place = kind, account, id, data
        return await self._tried(lambda: SharedMemoryStore.save(self, *place, replaces=replaces, limit=limit))

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        await self._tried(lambda: SharedMemoryStore.remove(self, kind, account, id, replaces=replaces))


async def is_past_the_end(place: Path, failing: Set[int], *, late: bool) -> bool:
    """Take in one result set with such failures, and look after what is left; return whether nothing failed any more."""
    documents = (await opened()).documents
    store = DoubtfulStore(documents)
    stage = Stage(store=store)
    async with depot(place, store=store) as d, stage.process() as staging:
        await moved_to(staging, store)
        results = ResultSets(
            store,
            deliveries=d.parts.deliveries,
            spool=staging,
            retention=86400.0,
            now=lambda: datetime.fromtimestamp(d.clock.now, UTC),
        )
        collection, accepted = await d.collection(await d.destination()), False
        store.failing, store.late, store.done = failing, late, 0
        with suppress(StoreError):
            async with results.intake(collection) as intake:
                await intake.add("a.bin", arriving(CONTENT))
                await results.complete(collection, intake)
                accepted = True
        is_past, store.failing = store.done <= min(failing), set()
        await results.mend()
        for _ in range(8):
            await results.finish()
            d.clock.now += 60
            stage.time += 60
        kept = await results.kept("ann", collection.id)
        assert len(kept) == 1 if accepted else len(kept) <= 1
        for one in kept:
            assert await read(staging, one.token, one.files, 0) == CONTENT
        assert len(await store.ids("deliveries", "ann")) == len(kept)
        assert (await store.ids(NOTES, ""), await store.count(KIND, "ann")) == ([], len(kept))
        assert bool(stage.shelf.objects) == bool(kept)
    return is_past


@pytest.mark.parametrize("late", [False, True])
async def test_what_was_accepted_is_whole_and_planned_and_nothing_else_stays(tmp_path: Path, *, late: bool) -> None:
    """One step fails, or two with others between, or five in a row."""
    for first in itertools.count():
        chosen = [{first, first + more} for more in (0, 1, 3, 4, 5, 6)] + [{*range(first, first + 5)}]
        places = (tmp_path / f"{first}-{number}" for number in itertools.count())
        if any([await is_past_the_end(next(places), failing, late=late) for failing in chosen]):
            break
    assert first >= 9
