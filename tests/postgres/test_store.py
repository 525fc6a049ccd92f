"""The store on PostgreSQL keeps the contract, and what it adds to that."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from consignee.errors import Conflict, LimitReached, StoreError, StoreUnusable
from consignee.postgres.database import Database
from consignee.postgres.documents import ranged
from consignee.secret import Secret
from consignee.store import Entry
from consignee.store.postgres import COPYING, PostgresStore
from consignee.testing.stores import KIND, StoreContract
from postgres.cluster import Cluster

RESTING: dict[str, Any] = {
    "job": {"lane": "l", "attempt": 2, "crashes": 0, "due": None, "lease": None},
    "data": {"n": 1},
}
DUE: dict[str, Any] = {"job": {"lane": "l", "attempt": 2, "crashes": 1, "due": 5.0, "lease": None}, "data": {"n": 1}}
LAST = chr(0x10FFFF)


class TestPostgresStore(StoreContract):
    """The contract, over a database."""


@asynccontextmanager
async def opened(url: Secret, *, partial: bool = False) -> AsyncIterator[PostgresStore]:
    """Open the store anew, as another process does."""
    store = PostgresStore(Database(url), partial=partial)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_what_one_process_saves_others_see(url: Secret) -> None:
    async with opened(url) as one, opened(url) as other:
        assert one.shared
        await one.save(KIND, "a", "1", {"n": 1})
        assert (await other.save(KIND, "a", "1", {"n": 2}, replaces=1)).revision == 2
        with pytest.raises(Conflict):
            await one.save(KIND, "a", "1", {"n": 3}, replaces=1)
        before = one.version(KIND, "a")
        await other.remove(KIND, "a", "1", replaces=2)
        assert one.version(KIND, "a") > before
        assert await one.get(KIND, "a", "1") is None


async def test_the_limit_holds_for_all_processes_together(url: Secret) -> None:
    async with opened(url) as one, opened(url) as other:
        saves = (store.save(KIND, "a", f"{id(store)}.{n}", {}, limit=3) for n in range(10) for store in (one, other))
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 17
        assert await one.count(KIND, "a") == 3


async def test_the_limit_holds_also_after_saves_without_one_and_when_it_was_another(store: PostgresStore) -> None:
    """What was counted before counts no more."""

    async def more(limit: int) -> int:
        saved = 0
        with suppress(LimitReached):
            while saved < 1000:
                await store.save(KIND, "a", f"{limit}.{saved}", {}, limit=limit)
                saved += 1
        return saved

    await store.save(KIND, "a", "first", {}, limit=100)
    assert await more(10) == 9
    assert await more(12) == 2
    await store.save(KIND, "a", "x", {}, limit=100)
    for number in range(50):
        await store.save(KIND, "a", f"without.{number}", {})
    assert await more(65) == 2
    for number in range(50):
        await store.remove(KIND, "a", f"without.{number}", replaces=1)
    assert await more(16) == 1


async def test_a_kind_that_was_used_is_known_after_a_restart_also_if_nothing_is_left(url: Secret) -> None:
    async with opened(url) as store:
        await store.save("api_keys", "a", "1", {})
        await store.save(KIND, "a", "1", {})
        await store.remove(KIND, "a", "1", replaces=1)
        with pytest.raises(Conflict):
            await store.save("never", "a", "1", {}, replaces=1)
    async with opened(url) as store:
        assert store.kinds() == ["api_keys", KIND]


@pytest.mark.parametrize("id_", ["\0", "a\0b", "\ud800"], ids=["a NUL", "a NUL within", "a lone surrogate"])
async def test_what_a_database_does_not_take_is_not_there_and_can_not_be_saved(store: PostgresStore, id_: str) -> None:
    for account, one in (("a", id_), (id_, "1")):
        assert await store.get(KIND, account, one) is None
        assert await store.revision(KIND, account, one) == 0
        assert await store.list(KIND, account, prefix=one) == []
        assert await store.count(KIND, account) == 0
        with pytest.raises(Conflict):
            await store.remove(KIND, account, one, replaces=1)
        with pytest.raises(ValueError, match=r"a NUL|surrogate"):
            await store.save(KIND, account, one, {})
    await store.close()
    with pytest.raises(StoreError):
        await store.get(KIND, "a", id_)


async def test_a_beginning_finds_what_begins_so_whatever_characters_there_are(store: PostgresStore) -> None:
    ids = ["", "a", "a.", "a.1", "a/", "A.1", "ab", "\u00e9", "\u00e91", "\u07ff", "\ud7ffx", "\ue000x", "\uffffx"]
    ids += [LAST, f"{LAST}x", f"a{LAST}", f"a{LAST}{LAST}x", "b", "\U0001f600", "%", "a%", "_", "\\"]
    for id_ in ids:
        await store.save(KIND, "a", id_, {})
    for prefix in {id_[:length] for id_ in ids for length in (1, 2, 3)} | {"", "zz", f"{LAST}{LAST}"}:
        expected = [id_ for id_ in ids if id_.startswith(prefix)]
        assert await store.ids(KIND, "a", prefix=prefix) == expected
        assert [one.id for one in await store.list(KIND, "a", prefix=prefix)] == expected


async def test_a_beginning_is_looked_up_and_not_searched_for(store: PostgresStore) -> None:
    await store.database.write(
        "INSERT INTO documents (kind, account, id, revision, data, written)"
        " SELECT 'things', 'a', n || '.x', 1, '{}', gen_random_uuid() FROM generate_series(1, 5000) n"
    )
    await store.database.write("ANALYZE documents")
    statement, further = ranged("SELECT id FROM documents d WHERE kind = $1 AND account = $2", "4321.")
    rows = await store.database.fetch(f"EXPLAIN {statement}", "things", "a", *further)
    plan = "\n".join(row[0] for row in rows)
    assert "Index Cond: ((kind = 'things'::text) AND (account = 'a'::text) AND (id >= '4321.'::text)" in plan


async def test_all_of_a_kind_are_found_in_the_order_of_their_first_saves(store: PostgresStore) -> None:
    places = [("b", "1"), ("a", "2"), ("c", "1"), ("a", "1")]
    for account, id_ in places:
        await store.save("result_sets", account, id_, {})
    await store.save("things", "a", "1", {})
    await store.save("result_sets", "b", "1", {"later": 1}, replaces=1)
    first = await store.in_order("result_sets", most=3)
    assert [one[1:] for one in first] == places[:3]
    assert isinstance(first[0], Entry)
    rest = await store.in_order("result_sets", behind=first[-1].number, most=3)
    assert [one[1:] for one in rest] == places[3:]
    assert await store.in_order("never", most=3) == []


async def test_the_order_of_a_kind_is_found_by_an_index(store: PostgresStore) -> None:
    await store.database.write(
        "INSERT INTO documents (kind, account, id, revision, data, written)"
        " SELECT kind, 'a', n::text, 1, '{}', gen_random_uuid()"
        " FROM generate_series(1, 3000) n, (VALUES ('deliveries'), ('result_sets')) AS k (kind)"
    )
    await store.database.write("ANALYZE documents")
    statement = "SELECT number, account, id FROM documents WHERE kind = $1 AND number > $2 ORDER BY number LIMIT $3"
    plan = "\n".join(row[0] for row in await store.database.fetch(f"EXPLAIN {statement}", "result_sets", 100, 10))
    assert "Index Scan using documents_in_order" in plan


async def test_a_job_is_shown_as_its_row_says(store: PostgresStore) -> None:
    """A claim changes that alone."""
    await store.save(KIND, "a", "1", DUE)
    await store.save(KIND, "a", "2", RESTING)
    await store.database.write("UPDATE jobs SET attempt = 3, crashes = 0, lease = 7.5 WHERE id = '1'")
    claimed = {"job": {"lane": "l", "attempt": 3, "crashes": 0, "due": 5.0, "lease": 7.5}, "data": {"n": 1}}
    found = await store.get(KIND, "a", "1")
    assert found is not None
    assert (found.revision, found.data) == (1, claimed)
    assert list(found.data["job"]) == list(DUE["job"])
    assert [one.data for one in await store.list(KIND, "a")] == [claimed, RESTING]


async def test_jobs_are_kept_in_step_with_their_documents(store: PostgresStore) -> None:
    async def rows() -> list[tuple[str, float]]:
        return [(row["id"], row["due"]) for row in await store.database.fetch("SELECT id, due FROM jobs ORDER BY id")]

    await store.save(KIND, "a", "1", DUE)
    await store.save(KIND, "a", "2", RESTING)
    assert await rows() == [("1", 5.0)]
    await store.save(KIND, "a", "2", DUE, replaces=1)
    with pytest.raises(Conflict):
        await store.save(KIND, "a", "1", RESTING, replaces=2)
    with pytest.raises(Conflict):
        await store.remove(KIND, "a", "1", replaces=2)
    assert await rows() == [("1", 5.0), ("2", 5.0)]
    await store.save(KIND, "a", "1", RESTING, replaces=1)
    await store.remove(KIND, "a", "2", replaces=2)
    assert await rows() == []
    await store.remove(KIND, "a", "1", replaces=2)
    assert await store.count(KIND, "a") == 0


async def test_what_only_looks_like_a_job_is_none(store: PostgresStore) -> None:
    looks: list[dict[str, Any]] = [{"job": "baker"}, {"job": {"x": 1}}, {"data": 1, "job": {"lane": "l"}}]
    for number, data in enumerate(looks):
        await store.save(KIND, "a", str(number), data)
        found = await store.get(KIND, "a", str(number))
        assert found is not None
        assert found.data == data
        await store.remove(KIND, "a", str(number), replaces=1)
    assert await store.count(KIND, "a") == 0


async def test_a_store_that_is_being_copied_is_refused(url: Secret) -> None:
    async with opened(url, partial=True) as store:
        await store.save(*COPYING, {})
    with pytest.raises(StoreUnusable, match=r"copied to .* in part only: repeat consignee store copy"):
        async with opened(url):
            pass
    async with opened(url, partial=True) as store:
        await store.remove(*COPYING, replaces=1)
    async with opened(url) as store:
        assert store.writable


async def test_one_process_is_alone_under_a_name(url: Secret) -> None:
    async with opened(url) as one, opened(url) as other:
        async with one.alone("first start"):
            with pytest.raises(StoreError, match="another process is at first start"):
                async with other.alone("first start", patience=0):
                    pytest.fail("it came in")
        async with other.alone("first start", patience=0):
            assert other.writable


async def test_no_secret_is_logged_however_much_is(
    url: Secret, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor do the logs of the server have what documents hold, unless it is told to log every statement's values."""
    caplog.set_level(logging.DEBUG)
    async with opened(url) as store:
        await store.save(KIND, "a", "1", {"secret": "canary-of-a-document"})
        with pytest.raises(Conflict):
            await store.save(KIND, "a", "1", {"secret": "canary-of-a-document"})
    assert "canary" not in caplog.text
    assert "canary-of-a-document" not in cluster.log.read_text()
