"""A process that claims one job, says so, and ends it when it is told to: a program for tests, with the URL as its first line."""

import asyncio
import sys

from consignee.postgres.database import Database
from consignee.queue import Job, LeaseLost
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore

KIND = "jobs"
LEASE = 1.0


async def main(name: str) -> None:
    """Claim, tell, wait for a line, acknowledge, tell."""
    store = PostgresStore(Database(Secret(sys.stdin.readline().strip())))
    await store.open()
    queue = PostgresQueue(store, KIND, lease=LEASE)
    await queue.open()
    job = await _claimed(queue)
    print("claimed", job.id, job.attempt, job.crashes, flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await queue.acknowledge(job, {"by": name})
        print("done", flush=True)  # noqa: T201
    except LeaseLost:
        print("lost", flush=True)  # noqa: T201
    await store.close()


async def _claimed(queue: PostgresQueue) -> Job:
    while not (jobs := await queue.claim(1, each=1)):
        await queue.wait(1)
    return jobs[0]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
