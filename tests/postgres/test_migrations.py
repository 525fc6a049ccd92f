"""The schema is brought up to date once, whole or not at all, and no version works with another's."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import consignee.postgres.schema
from consignee.errors import StoreError, StoreUnusable
from consignee.postgres.database import Database
from consignee.postgres.migrations import migrate
from consignee.postgres.schema import migrations
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import Cluster

NAMES = [one.name for one in migrations()]


async def test_a_new_database_is_refused_and_says_what_to_run(empty_url: Secret) -> None:
    database = Database(empty_url)
    with pytest.raises(StoreUnusable, match=f"at {database.name} has no schema yet: run consignee migrate"):
        await database.open()
    assert not database.is_open


async def test_each_migration_is_done_once(empty_url: Secret) -> None:
    assert await migrate(empty_url) == NAMES
    assert await migrate(empty_url) == []
    store = PostgresStore(Database(empty_url))
    await store.open()
    await store.save("things", "a", "1", {"n": 1})
    await store.close()
    assert await migrate(empty_url) == []


async def test_of_many_who_migrate_at_once_each_change_is_made_by_one(empty_url: Secret) -> None:
    made = await asyncio.gather(*(migrate(empty_url) for _ in range(5)))
    assert sorted(name for names in made for name in names) == NAMES


@pytest.mark.parametrize("has", range(1, len(NAMES)))
async def test_an_older_schema_is_refused_and_can_be_brought_up_to_date(
    cluster: Cluster, empty_url: Secret, monkeypatch: pytest.MonkeyPatch, has: int
) -> None:
    with monkeypatch.context() as older:
        older.setattr(consignee.postgres.schema, "_FILES", _some(has, cluster.directory))
        assert len(migrations()) == has
        assert await migrate(empty_url) == NAMES[:has]
    with pytest.raises(StoreUnusable, match=rf"older version \({has}, not {len(NAMES)}\): run consignee migrate"):
        await Database(empty_url).open()
    assert await migrate(empty_url) == NAMES[has:]


def _some(count: int, directory: Path) -> Path:
    known = Path(consignee.postgres.schema.__file__).with_name("sql")
    some = directory / f"sql-{count}"
    some.mkdir()
    for path in sorted(known.iterdir())[:count]:
        (some / path.name).write_text(path.read_text())
    return some


async def test_a_newer_schema_is_refused_by_all(cluster: Cluster, empty_url: Secret) -> None:
    await migrate(empty_url)
    name = empty_url.reveal().rpartition("/")[2]
    newer = f"INSERT INTO consignee_migrations (number, name) VALUES ({len(NAMES) + 1}, 'newer')"
    cluster.sql(newer, database=name)
    refused = rf"newer version of consignee \({len(NAMES) + 1}, not {len(NAMES)}\)"
    with pytest.raises(StoreUnusable, match=refused):
        await Database(empty_url).open()
    with pytest.raises(StoreUnusable, match=refused):
        await migrate(empty_url)


async def test_a_running_process_goes_on_while_the_schema_is_changed(cluster: Cluster, empty_url: Secret) -> None:
    """A later version adds a column and an index."""
    await migrate(empty_url)
    store = PostgresStore(Database(empty_url))
    await store.open()
    await store.save("things", "a", "1", {"n": 1})
    await store.get("things", "a", "1")
    cluster.sql(
        "ALTER TABLE documents ADD COLUMN later integer NOT NULL DEFAULT 0; CREATE INDEX ON documents (later);"
        f"INSERT INTO consignee_migrations (number, name) VALUES ({len(NAMES) + 1}, 'newer')",
        database=empty_url.reveal().rpartition("/")[2],
    )
    await store.save("things", "a", "1", {"n": 2}, replaces=1)
    found = await store.get("things", "a", "1")
    assert found is not None
    assert found.data == {"n": 2}
    await store.close()


async def test_a_migration_that_fails_leaves_nothing(
    cluster: Cluster, empty_url: Secret, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "0001_wrong.sql").write_text("CREATE TABLE canary (a integer); SELECT canary FROM nowhere;")
    with monkeypatch.context() as wrong:
        wrong.setattr(consignee.postgres.schema, "_FILES", tmp_path)
        with pytest.raises(StoreError, match=r"failed: the schema is not as expected.*\(SQLSTATE 42P01\)") as failure:
            await migrate(empty_url)
    assert "canary" not in str(failure.value)
    name = empty_url.reveal().rpartition("/")[2]
    assert cluster.sql("SELECT count(*) FROM pg_class WHERE relname = 'canary'", database=name) == "0"
    assert await migrate(empty_url) == NAMES


def test_the_command_migrates_and_says_what_it_did(empty_url: Secret, tmp_path: Path) -> None:
    """The URL is a secret, and is not told."""
    (tmp_path / "url").write_text(empty_url.reveal())
    environ = {**os.environ, "CONSIGNEE_STORE__URL_FILE": str(tmp_path / "url")}
    command = [sys.executable, "-m", "consignee", "migrate", "--json"]
    told = []
    for _ in range(2):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        told.append(json.loads(done.stdout))
    assert [one["migrations"] for one in told] == [NAMES, []]
    assert re.fullmatch(r"127\.0\.0\.1:\d+/test_\d+", told[0]["database"])
    assert "canary" not in str(told)


def test_the_command_refuses_a_store_in_a_directory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "consignee", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert "store.url is empty" in done.stderr
    assert list(tmp_path.iterdir()) == []
