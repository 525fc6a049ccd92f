"""Whatever is done by two processes in turns, and wherever their connections are cut: the store holds what the model holds."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings

from consignee.postgres.database import Database
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import Cluster
from postgres.cutting import proxy
from store.test_model import BOUNDED, STEPS, Place, StoreMachine


class PostgresMachine(StoreMachine):
    """The same, where a crash is the loss of all connections while something is under way."""

    cluster: ClassVar[Cluster]
    url: ClassVar[Secret]

    def opened(self, directory: Path) -> None:
        self.directory = directory
        self.run(self._opened())

    async def _opened(self) -> None:
        self._stack = AsyncExitStack()
        self._line = await self._stack.enter_async_context(proxy(self.cluster.port))
        url = self.cluster.url(self.url.reveal().rpartition("/")[2], port=self._line.port)
        stores = [PostgresStore(Database(url, most=2, random=lambda: 0.0)) for _ in range(2)]
        for store in stores:
            await store.open()
            self._stack.push_async_callback(store.close)
        await stores[0].database.write("TRUNCATE documents, kinds, limits, jobs")
        self._stores = itertools.cycle(stores)

    @property
    def store(self) -> PostgresStore:  # type: ignore[override]
        """One of two processes, in turns."""
        return next(self._stores)

    async def copied_while(self, changing: list[Place], data: dict[str, Any]) -> list[Place]:
        saves = [
            asyncio.ensure_future(self.store.save(*place, data, replaces=self.revision(place))) for place in changing
        ]
        for _ in range(len(changing) % 3):
            await asyncio.sleep(0)
        self._line.sever()
        saved = await asyncio.gather(*saves)
        assert [one.revision for one in saved] == [self.revision(place) + 1 for place in changing]
        return changing

    def teardown(self) -> None:
        self.crash_now(0, {})
        self.all_is_there()
        self.run(self._stack.aclose())
        self.runner.close()
        self.place.rmdir()


PostgresMachine.TestCase.settings = settings(BOUNDED, max_examples=max(1, BOUNDED.max_examples // 2))


@pytest.fixture
def machine(cluster: Cluster, url: Secret) -> type[PostgresMachine]:
    """The machine, on an empty database."""
    PostgresMachine.cluster, PostgresMachine.url = cluster, url
    PostgresMachine.steps = PostgresMachine.crashes = 0
    return PostgresMachine


def test_the_store_does_what_the_model_does(machine: type[PostgresMachine]) -> None:
    machine.TestCase("runTest").runTest()
    assert machine.steps > STEPS / 4
    assert machine.crashes > 0
