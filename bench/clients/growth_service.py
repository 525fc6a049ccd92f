"""What the measurements of growth share: a service with a storage in memory, filled quickly, and what an operation costs."""

import asyncio
import gc
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from consignee import Destinations, Settings, open_destinations
from consignee.providers.memory import MemoryStorage
from consignee.sections import LimitsSettings, SecretsSettings, StoreSettings
from measuring import spread

ACCOUNT: Final = "ann"
AT_ONCE: Final = 64
BATCHES: Final = 5
"""The cheapest of so many batches counts: what else the machine does only ever adds."""
STARTS: Final = 3


class Storage(MemoryStorage):
    """A storage in memory, of which the service's uploads can be held back."""

    def __init__(self) -> None:
        super().__init__("bucket")
        self.gate = asyncio.Event()
        self.gate.set()
        self.provider = replace(self.provider, open=self._open_later)

    @asynccontextmanager
    async def _open_later(self, *given: Any) -> AsyncIterator[Any]:
        await self.gate.wait()
        async with self._open(*given) as bucket:
            yield bucket


class Costs:
    """The CPU seconds of operations, by name, of all threads of this process."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    async def measure(self, name: str, one: Callable[[int], Awaitable[object]], *, times: int = 20) -> None:
        """Do `one` so many times, in batches; what counts is the cost of each in the cheapest batch."""
        numbers = itertools.count()
        costs = []
        for _ in range(BATCHES):
            gc.collect()
            used = time.process_time()
            for _ in range(times):
                await one(next(numbers))
            costs.append((time.process_time() - used) / times)
        self.found[name] = min(costs)

    async def measure_once(self, name: str, work: Awaitable[object], *, units: int = 1) -> None:
        """Note what `work` costs, for each of its units."""
        gc.collect()
        used = time.process_time()
        await work
        self.found[name] = (time.process_time() - used) / units

    async def measure_starts(self, home: Path, storage: Storage) -> None:
        """Note what the opening of a service costs that is there already."""
        costs = []
        for _ in range(STARTS):
            gc.collect()
            used = time.process_time()
            async with service(home, storage):
                costs.append(time.process_time() - used)
        self.found["start the service"] = min(costs)


@asynccontextmanager
async def service(home: Path, storage: Storage) -> AsyncIterator[Destinations]:
    """Yield the service of a directory; no limit stands in the way of the load."""
    settings = replace(
        Settings(),
        store=StoreSettings(path=str(home / "store")),
        secrets=SecretsSettings(key_file=str(home / "secret.key")),
        limits=LimitsSettings(destinations_per_account=10**6, collections_per_account=10**6, tests_per_second=0),
    )
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        yield destinations


def fields(number: int, *, enabled: bool = False) -> dict[str, Any]:
    """Return the fields of a destination."""
    return {
        "type": "memory",
        "name": f"Reports of department {number}",
        "enabled": enabled,
        "memory_secret": "memory-secret",
        "memory_bucket_name": "bucket",
        "memory_path_prefix": "exports/%COLLECTION_NAME%/%DATE%/%RESULT_SET_ID%",
    }


async def create_all(destinations: Destinations, count: int, account_of: Callable[[int], str]) -> list[str]:
    """Create so many destinations, some at once; return their ids."""
    ids = [""] * count

    async def create(number: int) -> None:
        ids[number] = (await destinations.create(account_of(number), fields(number))).id

    await spread(count, AT_ONCE, create)
    return ids
