"""What can't be planned is taken back, or else its files stay: in a staging bucket, where they are removed beside the store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consignee.collection import Collection
from consignee.delivery.intake import Intake
from consignee.delivery.result_set import KIND
from consignee.delivery.results import ResultSets
from consignee.delivery.staging_notes import KIND as NOTES
from consignee.errors import StoreError
from consignee.idempotency import Answer, Idempotency
from consignee.precedents import Precedents, Subject
from consignee.renewal import Renewals
from consignee.secret import Sealer
from consignee.store import Data
from delivery.depot import Depot, FrailStore, depot
from delivery.spooling import arriving
from delivery.stage import Stage, moved_to, read
from sharing import SharedMemoryStore


class ObstinateStore(FrailStore):
    """One in which the removal of documents of some kinds fails: those in `keeps`."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps: set[str] = set()

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        if kind in self.keeps:
            raise StoreError("the database can't be reached")
        await super().remove(kind, account, id, replaces=replaces)


@asynccontextmanager
async def staged_results(place: Path, store: ObstinateStore) -> AsyncIterator[tuple[Depot, Stage, ResultSets]]:
    """Yield result sets whose files are in a staging bucket."""
    await store.open()
    stage = Stage(store=store)
    async with depot(place, store=store) as d, stage.process() as staging:
        await moved_to(staging, store)
        results = ResultSets(store, deliveries=d.parts.deliveries, spool=staging, retention=1000.0)
        yield d, stage, results


@asynccontextmanager
async def arrived(results: ResultSets, collection: Collection) -> AsyncIterator[Intake]:
    """Yield what has arrived."""
    async with results.intake(collection) as intake:
        await intake.add("a.txt", arriving(b"content of a"))
        yield intake


async def looked_after(stage: Stage, results: ResultSets) -> None:
    """Let the one that keeps house look for what dead processes left, for as long as that takes."""
    for _ in range(8):
        await results.finish()
        stage.time += 60


async def test_the_files_of_what_was_acknowledged_stay_when_it_could_be_neither_planned_nor_taken_back(
    tmp_path: Path,
) -> None:
    """A database that comes and goes: the deliveries can't be saved, and then the document can't be removed."""
    store = ObstinateStore()
    async with staged_results(tmp_path, store) as (d, stage, results):
        collection = await d.collection(await d.destination())
        store.fail_next["deliveries"], store.keeps = 1, {KIND}
        async with arrived(results, collection) as intake:
            result_set = await results.complete(collection, intake)
        store.keeps.clear()
        await results.mend()
        await looked_after(stage, results)
        assert await read(results.spool, result_set.token, result_set.files, 0) == b"content of a"
        assert (await d.delivery(result_set)).files_total == 1
        assert await store.ids(NOTES, "") == []


async def test_of_what_was_taken_back_no_file_stays(tmp_path: Path) -> None:
    """Also if the bucket could remove nothing just then."""
    store = ObstinateStore()
    async with staged_results(tmp_path, store) as (d, stage, results):
        collection = await d.collection(await d.destination())
        store.fail_next["deliveries"] = 1
        with pytest.raises(StoreError):
            async with arrived(results, collection) as intake:
                await results.complete(collection, intake)
        assert await store.ids(KIND, "ann") == []
        await looked_after(stage, results)
        assert (stage.shelf.objects, await store.ids(NOTES, "")) == ({}, [])


class StandingStill(FrailStore):
    """Where the first job can't be saved, after `meanwhile`."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        if kind == "deliveries" and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
            raise StoreError("the database can't be reached")
        await super().before_save(kind, id, data)


async def test_what_another_process_told_its_client_of_is_not_taken_back(tmp_path: Path) -> None:
    """A process stands still when it has saved a result set; its client repeats the request with the key elsewhere."""
    documents = StandingStill()
    store = SharedMemoryStore(documents)
    await store.open()
    async with depot(tmp_path, store=store) as d:
        results, collection = d.parts.results, await d.collection(await d.destination())
        answers: list[Answer] = []

        async def ask(token: str, make: Callable[[str], Awaitable[bytes]]) -> Answer:
            seconds = iter(range(0, 10_000, 100))
            precedents = Precedents(store.another(), sealer=Sealer(b"k" * 32), most=10)
            renewals = Renewals(precedents, clock=lambda: float(next(seconds)))
            with Idempotency(precedents, renewals=renewals).claim("ann", KIND, "key") as claim:
                return await claim.answer(b"it", Subject(KIND, f"{collection.id}.0", token), make=make, recall=recalled)

        async def recalled(made: str) -> bytes:
            return made.encode()

        async with arrived(results, collection) as intake:

            async def made(_: str) -> bytes:
                return (await results.complete(collection, intake)).id.encode()

            async def repeated() -> None:
                answers.append(await ask("0123", made))

            documents.meanwhile = repeated
            first = await ask(intake.token, made)
        assert answers == [Answer(first.body, repeated=True)]
        await results.mend()
        assert await d.work() == 1
        assert len(d.warehouse["bucket"]) == 1
