"""The queue on PostgreSQL keeps the contract."""

from uuid import UUID

import pytest

from consignee.queue import Queue
from consignee.queue.postgres import PostgresQueue
from consignee.store.postgres import PostgresStore
from queues.claiming import LEASE, Clock, Reopen
from queues.contract import QueueContract

KIND = "jobs"
WORKER = UUID(int=1)


async def opened(store: PostgresStore, clock: Clock, *, worker: UUID = WORKER) -> PostgresQueue:
    """Open a queue over an open store."""
    queue = PostgresQueue(store, KIND, now=clock, lease=LEASE, worker=worker)
    await queue.open()
    return queue


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still."""
    return Clock()


class TestOnPostgres(QueueContract):
    """The contract, on a database."""

    @pytest.fixture
    async def queue(self, store: PostgresStore, clock: Clock) -> PostgresQueue:
        return await opened(store, clock)

    @pytest.fixture
    def reopen(self, store: PostgresStore, clock: Clock) -> Reopen:
        async def reopen() -> Queue:
            return await opened(store, clock, worker=UUID(int=2))

        return reopen
