"""What the queue keeps in its tables, what the store sees of it, and what a claim has to look at."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from consignee.postgres.database import Database
from consignee.queue import AT_ONCE, Data
from consignee.queue.postgres import PostgresQueue
from consignee.store.postgres import PostgresStore
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, one

KIND = "jobs"
WORKER = UUID(int=1)
MADE = """
WITH made AS (
    SELECT 'a' || n % 20 AS account, 'j' || n AS id, 'l' || n % $2::integer AS lane, n FROM generate_series(1, $3::integer) AS n
), kept AS (
    INSERT INTO documents (kind, account, id, revision, data, written)
    SELECT $1, account, id, 1, json_build_object('job', json_build_object('lane', lane), 'data', '{}'::json)::text,
        gen_random_uuid() FROM made
), begun AS (
    INSERT INTO jobs (kind, account, id, lane, due, turn, attempt, crashes, waiting, token)
    SELECT $1, account, id, lane, 0, n, 0, 0, true, gen_random_uuid() FROM made
)
INSERT INTO lanes (kind, account, lane, ready, wake) SELECT DISTINCT $1, account, lane, true, 0 FROM made
"""
PUT_OFF = f"""
DO $$ BEGIN
    FOR n IN 1..3000 LOOP
        UPDATE jobs SET due = {START} + 99 * (n % 2), turn = {START} + 99 * (n % 2), waiting = true, lease = NULL;
        UPDATE lanes SET ready = true;
        COMMIT;
    END LOOP;
END $$
"""
CLAIM = f"claim_jobs('{KIND}', 20, 99, 99, $1, gen_random_uuid(), 30, NULL)"
EXPLAIN = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM {CLAIM}"


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still."""
    return Clock()


@pytest.fixture
async def queue(store: PostgresStore, clock: Clock) -> PostgresQueue:
    """A queue over the store."""
    queue = PostgresQueue(store, KIND, now=clock, lease=LEASE, worker=WORKER)
    await queue.open()
    return queue


async def counts(database: Database) -> dict[str, int]:
    """Return how many rows each table of the queue has."""
    found: dict[str, int] = {}
    for table in ("jobs", "lanes", "documents"):
        [row] = await database.fetch(f"SELECT count(*) AS n FROM {table}")
        found[table] = row["n"]
    return found


async def test_of_what_ended_only_the_document_is_left(queue: PostgresQueue, database: Database) -> None:
    """However many jobs there have been, those that claim walk over none of them."""
    for lane in "uvw":
        await filled(queue, 3, lane=lane)
    assert await counts(database) == {"jobs": 9, "lanes": 3, "documents": 9}
    while jobs := await queue.claim(9, each=EACH):
        for job in jobs:
            await queue.acknowledge(job, {})
    assert await counts(database) == {"jobs": 0, "lanes": 0, "documents": 9}


async def test_a_hold_that_is_lifted_leaves_nothing(queue: PostgresQueue, database: Database) -> None:
    await queue.hold("a", "l", START + 9)
    assert (await counts(database))["lanes"] == 1
    await queue.hold("a", "l", None)
    assert await ids(queue) == []
    assert (await counts(database))["lanes"] == 0


async def test_the_store_sees_a_job_as_it_is(queue: PostgresQueue, store: PostgresStore) -> None:
    """A claim does not write the document, but who reads it sees the claim."""
    await filled(queue, 1)
    before = await store.get(KIND, "a", "l0")
    job = await one(queue)
    after = await store.get(KIND, "a", "l0")
    assert before is not None and after is not None and before.revision == after.revision == 1
    about = {"lane": "l", "attempt": 1, "crashes": 0, "due": START, "lease": START + LEASE}
    assert after.data == {"job": about, "data": {"of": "l0"}}
    await queue.acknowledge(job, {"done": 1})
    ended = await store.get(KIND, "a", "l0")
    assert ended is not None and ended.revision == 2
    assert ended.data == {"job": {**about, "due": None, "lease": None}, "data": {"done": 1}}


async def test_a_job_that_is_saved_past_the_queue_is_in_it(queue: PostgresQueue, store: PostgresStore) -> None:
    """As a restored or copied one is; and it is out of it when it is saved at rest, or removed."""
    about: Data = {"lane": "l", "attempt": 3, "crashes": 1, "due": START, "lease": None}
    for id_ in ("1", "2", "3"):
        await store.save(KIND, "a", id_, {"job": about, "data": {"n": id_}})
    await store.save(KIND, "a", "2", {"job": {**about, "due": None}, "data": {}}, replaces=1)
    await store.remove(KIND, "a", "3", replaces=1)
    job = await one(queue)
    assert (job.id, job.attempt, job.crashes, job.data) == ("1", 4, 0, {"n": "1"})


async def test_a_lease_that_was_saved_past_the_queue_ended_in_a_crash(
    queue: PostgresQueue, store: PostgresStore
) -> None:
    """It was that of a process which had another store."""
    about: Data = {"lane": "l", "attempt": 3, "crashes": 1, "due": START, "lease": START + 9}
    await store.save(KIND, "a", "1", {"job": about, "data": {}})
    job = await one(queue)
    assert (job.attempt, job.crashes) == (4, 2)


async def test_a_job_is_dressed_whenever_it_is_saved(store: PostgresStore, clock: Clock) -> None:
    """And anew when that is asked for, of which whoever works on it notices nothing."""
    worn = "old"

    def dress(account: str, id_: str, form: Data) -> Data:
        return {**form, "data": {**form["data"], "worn": f"{account} {id_} {worn}"}}

    queue = PostgresQueue(store, KIND, now=clock, lease=LEASE, dress=dress, worker=WORKER)
    await queue.open()
    assert (await queue.add("a", "1", {"n": 1}, lane="l", due=START)).data["worn"] == "a 1 old"
    job = await one(queue)
    worn = "new"
    await queue.renew("a", "1")
    await queue.renew("a", "none")
    kept = await store.get(KIND, "a", "1")
    assert kept is not None and kept.data["data"] == {"n": 1, "worn": "a 1 new"}
    assert await queue.claim(9, each=EACH) == []
    worn = "newest"
    assert (await queue.extend(job, {"n": 2})).data["worn"] == "a 1 newest"
    ended = await queue.acknowledge(job, {"n": 3})
    await queue.renew("a", "1")
    assert await queue.get("a", "1") == ended
    assert await queue.claim(9, each=EACH) == []


async def test_unfinished_jobs_are_counted_by_what_they_wait_for(queue: PostgresQueue, clock: Clock) -> None:
    await filled(queue, 3, lane="u", due=START - 5)
    await filled(queue, 2, lane="held")
    await queue.hold("a", "held", START + 9999)
    await queue.claim(1, each=EACH)
    await filled(queue, 4, lane="later", due=START + 5)
    await filled(queue, 1, lane="now", due=AT_ONCE)
    clock.advance(1)
    census = await queue.census()
    assert (census.due, census.under_way, census.scheduled, census.resting, census.oldest) == (3, 1, 4, 2, START - 5)
    clock.advance(LEASE)
    await queue.claim(1, each=1)
    census = await queue.census()
    assert (census.due, census.under_way, census.scheduled, census.resting) == (7, 1, 0, 2)


async def test_what_need_not_wait_does_not_if_the_clock_is_set_back(queue: PostgresQueue, clock: Clock) -> None:
    """Nor does it overtake what came before it, or end a hold."""
    await filled(queue, 3, due=AT_ONCE)
    await filled(queue, 1, lane="held", due=AT_ONCE)
    await queue.hold("a", "held", START - 9)
    clock.advance(-3600)
    assert await ids(queue, 2) == ["l0", "l1"]
    assert await ids(queue) == ["l2"]
    clock.advance(3591)
    assert "held0" in await ids(queue)


async def test_what_is_put_off_while_it_is_chosen_is_not_claimed(
    queue: PostgresQueue, store: PostgresStore, database: Database, clock: Clock
) -> None:
    await filled(queue, 1)
    changing = asyncio.create_task(_put_off_and_back(database))
    found = 0
    while not changing.done():
        for job in await queue.claim(1, each=EACH):
            found += 1
            assert job.due == START
        await asyncio.sleep(0)
    await changing
    assert found > 0


async def _put_off_and_back(database: Database) -> None:
    session = await database.connected()
    await session.raw.execute(PUT_OFF)
    await session.close()


async def test_a_removal_takes_locks_in_the_same_order_as_an_outcome(queue: PostgresQueue, database: Database) -> None:
    """First the row of the job, then the document: else each of them may wait for the other."""
    await filled(queue, 1)
    session = await database.connected()
    await session.raw.execute("BEGIN; SELECT FROM jobs FOR UPDATE")
    removing = asyncio.create_task(queue.remove("a", "l0"))
    while not await database.fetch("SELECT FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0.01)
    await session.raw.execute("SELECT FROM documents FOR UPDATE NOWAIT")
    await session.close()
    await removing
    assert await counts(database) == {"jobs": 0, "lanes": 1, "documents": 0}


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
async def test_what_no_job_can_be_called_is_not_there(queue: PostgresQueue, odd: str) -> None:
    assert await queue.get("a", odd) is None
    assert await queue.get(odd, "1") is None
    assert await queue.change("a", odd, lambda job: None) is None
    assert (await queue.list("a", prefix=odd), await queue.ids("a", prefix=odd)) == ([], [])
    assert not await queue.unfinished("a", prefix=odd)
    await queue.remove("a", odd)
    await queue.renew("a", odd)
    with pytest.raises(ValueError, match="lone surrogate"):
        await queue.add("a", odd, {}, lane="l", due=None)


async def looked_at(database: Database, jobs: int, lanes: int) -> float:
    """Return how many pages a claim of 20 looks at, among so many jobs in so many lanes."""
    await database.write("TRUNCATE jobs, lanes, documents, cursors")
    await database.write(MADE, KIND, lanes, jobs)
    pages = []
    for _ in range(6):
        [row] = await database.fetch(EXPLAIN, WORKER)
        plan: Any = json.loads(row[0])[0]["Plan"]
        assert plan["Actual Rows"] == 20
        pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return float(sorted(pages)[3])


async def test_a_claim_costs_the_same_however_many_jobs_lanes_and_accounts_wait(
    queue: PostgresQueue, database: Database
) -> None:
    """Nothing was counted or analysed by the database, as in the minutes after much has come."""
    few = await looked_at(database, 400, 20)
    assert await looked_at(database, 8000, 20) < 2 * few
    assert await looked_at(database, 8000, 4000) < 2 * few
