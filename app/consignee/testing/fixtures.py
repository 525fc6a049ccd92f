"""The fixtures that `pytest_plugins = ["consignee.testing"]` brings: a service that keeps everything in memory."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from consignee.providers.memory import MemoryStorage
from consignee.service import Destinations
from consignee.store.memory import MemoryStore
from consignee.testing.opening import open_in_memory

coroutine_fixture: Callable[[Any], Any]
try:  # pytest-asyncio, unless it is in its automatic mode, runs no other ones
    from pytest_asyncio import fixture as coroutine_fixture
except ModuleNotFoundError:
    coroutine_fixture = pytest.fixture


@pytest.fixture
def memory_storage() -> MemoryStorage:
    """A storage service with one bucket, named `bucket`, that is opened with `memory-secret`."""
    return MemoryStorage("bucket")


@coroutine_fixture
async def memory_store() -> AsyncIterator[MemoryStore]:
    """An open store that forgets."""
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@coroutine_fixture
async def memory_destinations(memory_storage: MemoryStorage, memory_store: MemoryStore) -> AsyncIterator[Destinations]:
    """The service, with that storage as its only destination type, and that store."""
    async with open_in_memory(memory_storage, store=memory_store) as destinations:
        yield destinations
