"""Whatever happens to result sets, in whatever order, and wherever the service crashes: what it holds fits together.

`STEPS` says how many steps are done in all.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consignee.collection import Collection
from consignee.delivery.result_set import ResultSet
from consignee.store.json_file import JsonFileStore
from delivery.depot import Clock, depot
from delivery.stage import read
from delivery.warehouse import Warehouse, passing
from store.test_model import BOUNDED, STEPS, copied

RETENTION = 14 * 86400.0
FILES = st.dictionaries(st.sampled_from(["a", "b", "ü %DATE%"]), st.binary(max_size=2000), min_size=1, max_size=3)
_T = TypeVar("_T")


class ResultSetMachine(RuleBasedStateMachine):
    """Takes sets in, delivers them, fails, crashes in the middle, removes collections, lets them grow old."""

    steps = crashes = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = Path(tempfile.mkdtemp(prefix="sets-"))
        self.generation = 0
        self.stack = AsyncExitStack()
        self.clock, self.warehouse = Clock(), Warehouse("bucket")
        self.expected: dict[str, dict[str, bytes]] = {}
        self.collections: list[Collection] = []
        self.names: dict[str, str] = {}
        self.run(self.open())
        self.destination = self.run(self.depot.destination(memory_path_prefix="%COLLECTION_NAME%/%RESULT_SET_ID%"))

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(coroutine)

    @property
    def directory(self) -> Path:
        return self.place / str(self.generation)

    async def open(self) -> None:
        self.store = JsonFileStore(self.directory / "documents", compact_above=5000, reserve=4096)
        await self.store.open()
        made = depot(
            self.directory / "depot",
            store=self.store,
            warehouse=self.warehouse,
            clock=self.clock,
            retries=("10s",) * 1000,  # that nothing is given up is the promise here, not when it is
            disable_after="",
            breaker=1000,
        )
        self.depot = await self.stack.enter_async_context(made)

    async def close(self) -> None:
        await self.stack.aclose()
        await self.store.close()

    def teardown(self) -> None:
        """What was acknowledged and is still kept is delivered in the end."""
        self.crash_now()
        self.warehouse.faults.clear()
        for _ in range(3):
            self.clock.now += 2 * 86400
            self.run(self.depot.work())
        assert self.run(self.unfinished()) == []
        for one in self.run(self.sets()):
            status = self.run(self.depot.status(one))
            assert status["status"] == "success", status["log"]
            for name, content_ in self.expected[one.id].items():
                key = f"{self.names[one.collection_id]}/{one.number}/{name}"
                assert self.warehouse["bucket"][key] == content_
        self.run(self.close())
        self.runner.close()
        shutil.rmtree(self.place)

    @rule()
    @precondition(lambda self: len(self.collections) < 3)
    def new_collection(self) -> None:
        name = f"C{len(self.names)}"
        collection = self.run(self.depot.collection(self.destination, name=name))
        self.names[collection.id] = name
        self.collections.append(collection)

    @rule(files=FILES, pick=st.integers(0, 9))
    @precondition(lambda self: self.collections)
    def deliver(self, files: dict[str, bytes], pick: int) -> None:
        collection = self.collections[pick % len(self.collections)]
        result_set = self.run(self.depot.deliver(collection, files))
        assert result_set.id not in self.expected, "no number is given twice"
        self.expected[result_set.id] = files

    @rule(faults=st.integers(0, 2))
    def work(self, faults: int) -> None:
        """Deliver what is due; some uploads fail."""
        self.warehouse.faults["bucket"] = [passing() for _ in range(faults)]
        self.run(self.depot.work())

    @rule(seconds=st.sampled_from([10.0, 3600.0, RETENTION]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds
        gone = self.run(self.depot.parts.results.retire())
        for _, id_ in gone:
            del self.expected[id_]

    @rule(pick=st.integers(0, 9))
    @precondition(lambda self: self.collections)
    def remove_collection(self, pick: int) -> None:
        collection = self.collections.pop(pick % len(self.collections))
        self.run(self.depot.parts.collections.delete("ann", collection.id))
        self.expected = {id_: files for id_, files in self.expected.items() if not id_.startswith(f"{collection.id}.")}

    @rule(leftover=st.booleans())
    def crash(self, *, leftover: bool) -> None:
        """Go on with the bytes as they are; perhaps a set was just being received, and another kept but not recorded."""
        type(self).crashes += 1
        self.crash_now(leftover=leftover)

    def crash_now(self, *, leftover: bool = False) -> None:
        before = self.directory
        self.generation += 1
        copied(before, self.directory)
        self.run(self.close())
        shutil.rmtree(before)
        if leftover:
            for place in ("incoming", "kept"):
                (self.directory / "depot" / "spool" / place / "ab").mkdir(mode=0o700)
        self.run(self.open())

    async def sets(self) -> list[ResultSet]:
        return [one for place in self.collections for one in await self.depot.parts.results.kept("ann", place.id)]

    async def unfinished(self) -> list[str]:
        return [id_ for id_ in self.expected if await self.depot.parts.deliveries.unfinished("ann", id_)]

    @invariant()
    def it_fits_together(self) -> None:
        """Each set that was acknowledged is there with its files and its deliveries, and the spool holds nothing else."""
        type(self).steps += 1
        self.run(self.check())

    async def check(self) -> None:
        parts, found = self.depot.parts, await self.sets()
        assert {one.id for one in found} == self.expected.keys()
        assert await parts.spool.tokens() == sorted(one.token for one in found)
        assert list((self.directory / "depot" / "spool" / "incoming").iterdir()) == []
        for one in found:
            files = {file.name: await read(parts.spool, one.token, one.files, n) for n, file in enumerate(one.files)}
            assert files == self.expected[one.id]
        planned = {f"{one.id}.{self.destination}" for one in found}
        assert await parts.deliveries.ids("ann") == planned


ResultSetMachine.TestCase.settings = BOUNDED


def test_result_sets_do_what_the_model_does() -> None:
    ResultSetMachine.steps = ResultSetMachine.crashes = 0
    ResultSetMachine.TestCase("runTest").runTest()
    assert ResultSetMachine.steps > STEPS / 2
    assert ResultSetMachine.crashes > 0
    print(f"{ResultSetMachine.steps} steps, {ResultSetMachine.crashes} crashes, no result set lost")  # noqa: T201
