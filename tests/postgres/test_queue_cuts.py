"""A connection that is cut at any point of what is said to the queue: it counts once, and whoever said it is told the truth."""

from collections.abc import Awaitable, Callable

import pytest

from consignee.errors import Conflict
from consignee.postgres.database import Database
from consignee.queue import AT_ONCE, Change, Job, LeaseLost
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import Cluster
from postgres.cutting import Lost, Proxy
from queues.claiming import EACH, LEASE, START, Clock, filled

KIND = "jobs"
MOST = 30
"""Requests: what takes as many never ends."""


@pytest.fixture
async def queue(line_store: PostgresStore) -> PostgresQueue:
    """A queue with one connection, through the proxy."""
    queue = PostgresQueue(line_store, KIND, now=Clock(), lease=LEASE, dress=lambda account, id_, form: form)
    await queue.open()
    return queue


async def begun(queue: PostgresQueue) -> Job:
    """Have nothing but three jobs, of which one is leased; return that."""
    for id_ in await queue.ids("a"):
        await queue.remove("a", id_)
    await filled(queue, 3)
    (job,) = await queue.claim(1, each=EACH)
    return job


async def added(queue: PostgresQueue, job: Job) -> None:
    await queue.add("a", "new", {"n": 1}, lane="l", due=START)
    with pytest.raises(Conflict):
        await queue.add("a", "new", {"n": 2}, lane="l", due=START)
    assert (await there(queue, "new")).data == {"n": 1}


async def claimed(queue: PostgresQueue, job: Job) -> None:
    (another,) = await queue.claim(1, each=EACH)
    assert (another.id, another.attempt) == ("l1", 1)
    assert [one.lease is None for one in await queue.list("a")] == [False, False, True]


async def extended(queue: PostgresQueue, job: Job) -> None:
    longer = await queue.extend(job, {"half": "done"})
    assert await there(queue, job.id) == longer


async def acknowledged(queue: PostgresQueue, job: Job) -> None:
    done = await queue.acknowledge(job, {"done": 1})
    assert await there(queue, job.id) == done
    await has_no_say(queue, job)


async def retried(queue: PostgresQueue, job: Job) -> None:
    later = await queue.retry(job, {"failed": 1}, due=START + 9)
    assert (later.due, await there(queue, job.id)) == (START + 9, later)
    await has_no_say(queue, job)


async def released(queue: PostgresQueue, job: Job) -> None:
    back = await queue.release(job)
    assert (back.due, await there(queue, job.id)) == (AT_ONCE, back)
    await has_no_say(queue, job)


async def changed(queue: PostgresQueue, job: Job) -> None:
    """Once: what comes of a second time would be seen."""
    after = await queue.change("a", job.id, lambda now: Change({"n": now.data.get("n", 0) + 1}, None))
    assert after is not None and after.data == {"n": 1}
    assert await there(queue, job.id) == after
    await has_no_say(queue, job)


async def renewed(queue: PostgresQueue, job: Job) -> None:
    await queue.renew("a", job.id)
    assert await there(queue, job.id) == job


async def removed(queue: PostgresQueue, job: Job) -> None:
    await queue.remove("a", job.id)
    assert await queue.get("a", job.id) is None
    await has_no_say(queue, job)


async def held(queue: PostgresQueue, job: Job) -> None:
    await queue.hold("a", "l", START + 9)
    assert (await queue.census()).resting == 2
    await queue.hold("a", "l", None)
    assert (await queue.census()).due == 2


async def there(queue: PostgresQueue, id_: str) -> Job:
    """Return a job that there must be."""
    job = await queue.get("a", id_)
    assert job is not None
    return job


async def has_no_say(queue: PostgresQueue, job: Job) -> None:
    """Check that the attempt ended."""
    with pytest.raises(LeaseLost):
        await queue.extend(job)


ACTS: list[Callable[[PostgresQueue, Job], Awaitable[None]]] = [
    added,
    claimed,
    extended,
    acknowledged,
    retried,
    released,
    changed,
    renewed,
    removed,
    held,
]


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_it_counts_once_wherever_the_connection_is_cut(
    queue: PostgresQueue, line: Proxy, act: Callable[[PostgresQueue, Job], Awaitable[None]], lost: Lost
) -> None:
    """Each point is cut in turn, until one is beyond what is done: then nothing was cut."""
    point = 0
    for _ in range(MOST):
        job = await begun(queue)
        before = line.cuts
        line.cut(lost, point)
        await act(queue, job)
        line.spare()
        if line.cuts > before:
            point += 1
        elif point:  # else it was the request of a connection that only listens
            return
    pytest.fail("it did not end")


async def test_jobs_are_claimed_again_when_the_database_is_back(
    cluster: Cluster, url: Secret, line: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile there is nothing to claim, which is said once; and a wait ends all the same, without spinning."""
    name = url.reveal().rpartition("/")[2]
    store = PostgresStore(Database(cluster.url(name, port=line.port), timeout=0.2))
    await store.open()
    queue = PostgresQueue(store, KIND, random=lambda: 0.0)
    await queue.open()
    await filled(queue, 1, due=AT_ONCE)
    line.deaf = True
    line.sever()
    caplog.clear()
    for _ in range(2):
        assert await queue.claim(9, each=EACH) == []
        await queue.wait(9999)
    line.deaf = False
    while not (jobs := await queue.claim(9, each=EACH)):
        await queue.wait(9999)
    assert [job.id for job in jobs] == ["l0"]
    told = [record.message for record in caplog.records if record.name == "consignee.queue.postgres"]
    assert len(told) == 2 and told[0].startswith("no jobs can be claimed: the database at 127.0.0.1:")
    assert told[1] == "jobs can be claimed again"
    await store.close()
