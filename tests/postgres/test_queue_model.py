"""The queue on PostgreSQL answers as the model does, whatever is done to it."""

import asyncio
import itertools
import os
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test

from consignee.postgres.database import Database
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from queues.claiming import LEASE, soon
from queues.test_model import QueueMachine

EXAMPLES = int(os.environ.get("QUEUE_EXAMPLES", "12"))
"""More of them find more, and other ones; these are the same each time."""
BOUNDED = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, derandomize="QUEUE_EXAMPLES" not in os.environ
)
_T = TypeVar("_T")


class PostgresQueueMachine(QueueMachine):
    """Each example has a kind of its own in the same database. What one process knew, the next one finds."""

    runs: ClassVar[asyncio.Runner]
    database_store: ClassVar[PostgresStore]
    numbers = itertools.count()

    def __init__(self) -> None:
        self.kind = f"jobs{next(self.numbers)}"
        super().__init__()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.runs.run(coroutine)

    def opened(self) -> PostgresQueue:  # type: ignore[override]
        queue = PostgresQueue(
            self.database_store,
            self.kind,
            now=self.clock,
            lease=LEASE,
            of_account=self.of_account,
            worker=UUID(int=1),
        )
        self.run(queue.open())
        return queue

    @rule()
    def restart(self) -> None:
        """Leases and holds are as they were."""
        self.queue = self.opened()  # type: ignore[assignment]
        self.news = True

    @rule()
    def wait(self) -> None:
        """What can be claimed is not waited for; else a wait may end at any time, for it looks now and then."""
        if self.news and self.model.available(self.each, self.clock()):
            self.run(soon(self.queue.wait(9999)))
        self.news = False


class CappedMachine(PostgresQueueMachine):
    """With a cap on what one account may have."""

    of_account = 2


@pytest.fixture
def machine_store(url: Secret) -> Iterator[None]:
    """A store for all examples of a test, and a loop for them."""
    with asyncio.Runner() as runner:
        PostgresQueueMachine.runs = runner
        store = PostgresQueueMachine.database_store = PostgresStore(Database(url))
        runner.run(store.open())
        yield
        runner.run(store.close())


@pytest.mark.usefixtures("machine_store")
@pytest.mark.parametrize("machine", [PostgresQueueMachine, CappedMachine])
def test_the_queue_on_postgres_does_what_the_model_does(machine: type[PostgresQueueMachine]) -> None:
    run_state_machine_as_test(machine, settings=BOUNDED)
