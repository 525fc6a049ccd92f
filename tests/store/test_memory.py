"""The store in memory keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from consignee.store.memory import MemoryStore
from consignee.testing.stores import StoreContract


class TestMemoryStore(StoreContract):
    """The contract, over the store in memory."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()
