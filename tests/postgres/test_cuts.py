"""A connection that is cut at any point of a save or a removal: it takes effect once, and whoever asked is told the truth."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consignee.errors import Conflict, LimitReached, OutcomeUnknown
from consignee.postgres.database import Database
from consignee.postgres.session import Connection
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import Cluster
from postgres.cutting import Lost, Proxy

KIND = "destinations"
JOB = {"job": {"lane": "l", "attempt": 0, "crashes": 0, "due": 5.0, "lease": None}, "data": {}}
MOST = 40
"""Requests: an operation that takes as many never ends."""


@pytest.fixture
def store(line_store: PostgresStore) -> PostgresStore:
    """A store with one connection, through the proxy; another kind has been saved, and two documents of this."""
    return line_store


async def created(store: PostgresStore) -> None:
    assert (await store.save(KIND, "a", "new", {"n": 1})).revision == 1


async def created_within_a_limit(store: PostgresStore) -> None:
    assert (await store.save(KIND, "a", "new", {"n": 1}, limit=2)).revision == 1


async def created_with_a_job(store: PostgresStore) -> None:
    assert (await store.save(KIND, "a", "new", JOB)).revision == 1


async def changed(store: PostgresStore) -> None:
    assert (await store.save(KIND, "a", "old", {"n": 2}, replaces=1)).revision == 2


async def removed(store: PostgresStore) -> None:
    await store.remove(KIND, "a", "old", replaces=1)


async def removed_a_job(store: PostgresStore) -> None:
    await store.remove(KIND, "a", "job", replaces=1)


AFTER: dict[Callable[[PostgresStore], Awaitable[None]], dict[str, int]] = {
    created: {"old": 1, "job": 1, "new": 1},
    created_within_a_limit: {"old": 1, "new": 1},
    created_with_a_job: {"old": 1, "job": 1, "new": 1},
    changed: {"old": 2, "job": 1},
    removed: {"job": 1},
    removed_a_job: {"old": 1},
}


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("act", AFTER, ids=lambda act: act.__name__)
async def test_it_takes_effect_once_wherever_the_connection_is_cut(
    store: PostgresStore, line: Proxy, act: Callable[[PostgresStore], Awaitable[None]], lost: Lost
) -> None:
    """Each point is cut in turn, until one is beyond the operation: then nothing was cut."""
    for point in range(MOST):
        await _begin(store, act)
        before = line.cuts
        line.cut(lost, point)
        await act(store)
        line.spare()
        assert await store.revisions(KIND, "a") == AFTER[act]
        await _jobs_are_in_step(store)
        if line.cuts == before:
            assert point > 0, "nothing was ever cut"
            return
    pytest.fail("it did not end")


async def _begin(store: PostgresStore, act: Callable[[PostgresStore], Awaitable[None]]) -> None:
    for id_, revision in (await store.revisions(KIND, "a")).items():
        await store.remove(KIND, "a", id_, replaces=revision)
    await store.save(KIND, "a", "old", {"n": 1})
    if act is not created_within_a_limit:
        await store.save(KIND, "a", "job", JOB)


async def _jobs_are_in_step(store: PostgresStore) -> None:
    rows = await store.database.fetch("SELECT id FROM jobs WHERE kind = $1", KIND)
    of_jobs = {one.id for one in await store.list(KIND, "a") if "job" in one.data}
    assert {row["id"] for row in rows} == of_jobs


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_what_is_refused_is_refused_wherever_the_connection_is_cut(
    store: PostgresStore, line: Proxy, lost: Lost
) -> None:
    await store.save(KIND, "a", "old", {"n": 1})
    refused: list[tuple[type[Exception], Callable[[], Awaitable[Any]]]] = [
        (Conflict, lambda: store.save(KIND, "a", "old", {})),
        (Conflict, lambda: store.save(KIND, "a", "old", {}, replaces=2)),
        (Conflict, lambda: store.save(KIND, "a", "old", JOB, replaces=2)),
        (Conflict, lambda: store.save(KIND, "a", "old", {}, limit=1)),
        (LimitReached, lambda: store.save(KIND, "a", "other", {}, limit=1)),
        (Conflict, lambda: store.remove(KIND, "a", "old", replaces=2)),
    ]
    for error, act in refused:
        for point in range(MOST):
            before = line.cuts
            line.cut(lost, point)
            with pytest.raises(error):
                await act()
            line.spare()
            if line.cuts == before:
                break
        assert await store.revisions(KIND, "a") == {"old": 1}
    assert line.cuts > len(refused)


async def test_a_change_over_ours_while_ours_was_in_doubt_is_not_taken_for_a_conflict(
    store: PostgresStore, line: Proxy, url: Secret
) -> None:
    """Whoever is told of a conflict does it all again: then it must not have been done."""
    await _rehearse(store)
    await store.save(KIND, "a", "1", {"n": 1})
    async with opened(url) as other:
        line.cut("answer", 0)
        line.meanwhile = lambda: other.save(KIND, "a", "1", {"n": 3}, replaces=2)
        with pytest.raises(OutcomeUnknown, match="whether the change took effect is not known"):
            await store.save(KIND, "a", "1", {"n": 2}, replaces=1)
        assert await other.revision(KIND, "a", "1") == 3


async def test_a_change_over_our_first_save_while_it_was_in_doubt_is_not_taken_for_a_conflict(
    store: PostgresStore, line: Proxy, url: Secret
) -> None:
    """A new result set that somebody completes meanwhile would else be made again under the next number."""
    await _rehearse(store)
    async with opened(url) as other:
        line.cut("answer", 0)
        line.meanwhile = lambda: other.save(KIND, "a", "1", {"n": 3}, replaces=1)
        with pytest.raises(OutcomeUnknown, match="whether the change took effect is not known"):
            await store.save(KIND, "a", "1", {"n": 2})
        assert await other.revision(KIND, "a", "1") == 2


async def test_a_change_in_place_of_ours_is_a_conflict_though_ours_was_in_doubt(
    store: PostgresStore, line: Proxy, url: Secret
) -> None:
    """It has the revision that ours would have."""
    await _rehearse(store)
    await store.save(KIND, "a", "1", {"n": 1})
    async with opened(url) as other:
        line.cut("request", 0)
        line.meanwhile = lambda: other.save(KIND, "a", "1", {"n": 3}, replaces=1)
        with pytest.raises(Conflict):
            await store.save(KIND, "a", "1", {"n": 2}, replaces=1)


async def test_a_change_in_place_of_ours_that_was_lost_is_a_conflict(
    store: PostgresStore, line: Proxy, url: Secret
) -> None:
    await _rehearse(store)
    async with opened(url) as other:
        line.cut("request", 0)
        line.meanwhile = lambda: other.save(KIND, "a", "1", {"n": 1})
        with pytest.raises(Conflict):
            await store.save(KIND, "a", "1", {"n": 2})
        assert [one.data for one in await other.list(KIND, "a")] == [{"n": 1}]


async def test_a_document_that_is_gone_when_our_removal_was_in_doubt_was_removed(
    store: PostgresStore, line: Proxy
) -> None:
    await _rehearse(store)
    await store.save(KIND, "a", "1", {"n": 1})
    line.cut("answer", 0)
    await store.remove(KIND, "a", "1", replaces=1)
    assert line.cuts == 1
    with pytest.raises(Conflict):
        await store.remove(KIND, "a", "1", replaces=1)


async def _rehearse(store: PostgresStore) -> None:
    """Have every statement prepared, so that the next one takes one request."""
    for _ in range(2):
        await store.save(KIND, "a", "0", {})
        await store.save(KIND, "a", "0", {}, replaces=1)
        await store.remove(KIND, "a", "0", replaces=2)


@asynccontextmanager
async def opened(url: Secret) -> AsyncIterator[PostgresStore]:
    """Open the store past the proxy."""
    store = PostgresStore(Database(url))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_who_can_not_find_out_does_not_ask_without_a_pause(cluster: Cluster, url: Secret, line: Proxy) -> None:
    asked = 0

    async def check(connection: Connection) -> bool:
        nonlocal asked
        asked += 1
        await connection.execute("SELECT 1 / 0")
        return False

    name = url.reveal().rpartition("/")[2]
    database = Database(cluster.url(name, port=line.port), timeout=0.5, most=1)
    await database.open()
    line.cut("answer", 2)
    with pytest.raises(OutcomeUnknown, match="whether the change took effect is not known"):
        await database.transact(lambda connection: connection.execute("SELECT"), check=check)
    assert 1 <= asked < 50
    await database.close()
