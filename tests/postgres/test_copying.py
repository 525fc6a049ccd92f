"""A copy of a store is the same store: from a directory to a database, and back."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canaries import COMPATIBLE_SECRET
from consignee.copying.copying import AT_ONCE, compare, copy_documents
from consignee.copying.database import DatabaseTarget, opened_source, opened_target
from consignee.copying.ends import StoreSource
from consignee.copying.opening import copy_store, end
from consignee.errors import StoreError, StoreUnusable
from consignee.postgres.database import Database
from consignee.sealed import open_secrets
from consignee.secret import Secret
from consignee.settings import Settings
from consignee.store import Document, Store
from consignee.store.memory import MemoryStore
from consignee.store.postgres import PostgresStore
from copying.stores import SEALER, content, content_of, fill, kept_in, settings_of
from samples.serving import environment

from .cluster import PASSWORD

KILLS = int(os.environ.get("COPY_KILLS", "4"))


@pytest.fixture
async def old(tmp_path: Path) -> Settings:
    """The settings of a store in a directory with everything in it."""
    settings = settings_of(tmp_path / "old")
    await fill(settings)
    return settings


@pytest.fixture
def new(url: Secret, old: Settings) -> Settings:
    """The settings of an empty database, beside a spool elsewhere."""
    settings = end(url.reveal(), old)
    directory = Path(old.store.path).parent.parent / "new"
    return replace(settings, delivery=replace(settings.delivery, spool=str(directory / "spool")))


async def content_in(settings: Settings) -> dict[str, list[Any]]:
    """Return all documents in a database, in order, by kind and account."""
    store = PostgresStore(Database(settings.store.url))
    await store.open()
    try:
        return await content(store)
    finally:
        await store.close()


async def test_there_and_back_documents_and_files_are_the_same(old: Settings, new: Settings, tmp_path: Path) -> None:
    """Each at its revision, in the order of first saves, and every job as it was; sealed secrets open."""
    before = await content_of(old)
    copied = await copy_store(old, new)
    assert copied.documents == {"deliveries": 4, "destinations": 5, "result_sets": 3, "sealing_keys": 1}
    assert await content_in(new) == before
    assert kept_in(Path(new.delivery.spool)) == kept_in(Path(old.store.path) / "spool")
    store = PostgresStore(Database(new.store.url))
    await store.open()
    document = await store.get("destinations", "ann", "00000007")
    await store.close()
    assert document is not None
    assert open_secrets(document, SEALER)["secret"].reveal() == f"{COMPATIBLE_SECRET}7"
    back = settings_of(tmp_path / "back")
    assert (await copy_store(new, back)).documents == copied.documents
    assert await content_of(back) == before
    assert kept_in(Path(back.store.path) / "spool") == kept_in(Path(old.store.path) / "spool")


async def test_what_was_unfinished_can_be_claimed_there(old: Settings, new: Settings) -> None:
    """And what is at rest, or due later, is not to be claimed now."""
    await copy_store(old, new)
    other = Database(new.store.url)
    await other.open()
    rows = await other.fetch("SELECT id, lane, due, attempt, lease FROM jobs ORDER BY id")
    await other.close()
    assert [tuple(row) for row in rows] == [
        ("AAAA0000.1.1", "lane 1", 0, 1, None),
        ("AAAA0000.1.2", "lane 0", 4_000_000_000.5, 2, None),
        ("AAAA0000.1.3", "lane 1", 0, 3, 12.5),
    ]


async def test_a_store_is_never_copied_over_another(old: Settings, new: Settings) -> None:
    await copy_store(old, new)
    before = await content_in(new)
    with pytest.raises(StoreUnusable, match=r"there is a store in the database at .* already"):
        await copy_store(old, new)
    assert await content_in(new) == before


async def test_neither_end_may_be_in_use(old: Settings, new: Settings, tmp_path: Path) -> None:
    """A service that is open is noticed by its connections; one that came later could not write."""
    store = PostgresStore(Database(new.store.url))
    await store.open()
    for ends in ((old, new), (new, settings_of(tmp_path / "back"))):
        with pytest.raises(StoreUnusable, match="is in use, over 1 other connections"):
            await copy_store(*ends)
    await store.save("destinations", "ann", "1", {})
    await store.close()
    async with opened_database(new) as source:
        late = PostgresStore(Database(new.store.url, timeout=0.5))
        await late.open()
        with pytest.raises(StoreError):
            await late.save("destinations", "ann", "2", {})
        assert [one.id async for one in source.documents("destinations", "ann")] == ["1"]
        await late.close()


@asynccontextmanager
async def opened_database(settings: Settings) -> Any:
    """Yield what is in a database, as a copy reads it."""
    async with opened_source(settings.store) as source:
        yield source


class Interrupted(Exception):
    """The copy ended here."""


class Faltering(DatabaseTarget):
    """A target that is lost after some documents."""

    def __init__(self, store: PostgresStore, *, appends: int) -> None:
        super().__init__(store)
        self._left = appends
        self.appended = 0

    async def append(self, kind: str, documents: Sequence[Document]) -> None:
        """Append, or be interrupted."""
        if self._left == 0:
            raise Interrupted
        self._left -= 1
        self.appended += len(documents)
        await super().append(kind, documents)


async def many(store: Store, count: int) -> None:
    """Save many documents, some of them several times."""
    for number in range(count):
        await store.save("deliveries", "ann", f"{number * 7919 % count}", {"n": number})
        if number % 3 == 0:
            await store.save("deliveries", "ann", f"{number * 7919 % count}", {"n": -number}, replaces=1)


async def test_a_copy_that_was_interrupted_goes_on_where_it_was(new: Settings) -> None:
    """Nothing is written twice; what the source has changed since is written anew, in its place in the order."""
    memory = MemoryStore()
    await memory.open()
    await many(memory, 2 * AT_ONCE + 200)
    await memory.save("destinations", "bob", "1", {})
    source = StoreSource("memory", memory)
    async with opened_target(new.store) as target:
        assert isinstance(target, DatabaseTarget)
        with pytest.raises(Interrupted):
            await copy_documents(source, Faltering(target._store, appends=2))
    with pytest.raises(StoreUnusable, match=r"was copied to .* in part only: repeat consignee store copy"):
        await PostgresStore(Database(new.store.url)).open()
    changed = (await memory.list("deliveries", "ann"))[AT_ONCE + 100]
    await memory.save("deliveries", "ann", changed.id, {"changed": True}, replaces=changed.revision)
    await memory.remove("destinations", "bob", "1", replaces=1)
    async with opened_target(new.store) as target:
        written = await copy_documents(source, target)
        assert written == {"deliveries": AT_ONCE + 100}
        async with target.finished() as found:
            assert await found.places() == [("deliveries", "ann")]
    assert await content_in(new) == await content(memory)


async def test_what_is_gone_from_the_source_goes_from_an_interrupted_copy(new: Settings) -> None:
    """With its job."""
    memory = MemoryStore()
    await memory.open()
    job = {"lane": "a", "attempt": 0, "crashes": 0, "due": 0, "lease": None}
    await memory.save("deliveries", "ann", "1", {"job": job, "data": {}})
    source = StoreSource("memory", memory)
    async with opened_target(new.store) as target:
        await copy_documents(source, target)
    await memory.remove("deliveries", "ann", "1", replaces=1)
    async with opened_target(new.store) as target:
        await copy_documents(source, target)
        async with target.finished() as found:
            assert await found.places() == []
    database = Database(new.store.url)
    await database.open()
    assert await database.fetch("SELECT FROM jobs") == []
    assert await database.fetch("SELECT FROM documents") == []
    await database.close()


async def test_a_copy_that_is_not_the_same_is_not_put_to_use(old: Settings, new: Settings) -> None:
    """Here somebody changed a document of it before it was compared."""

    class Altered(DatabaseTarget):
        async def append(self, kind: str, documents: Sequence[Document]) -> None:
            await super().append(kind, [replace(one, revision=one.revision + 1) for one in documents])

    memory = MemoryStore()
    await memory.open()
    await many(memory, 10)
    source = StoreSource("memory", memory)
    async with opened_target(new.store) as target:
        assert isinstance(target, DatabaseTarget)
        altered = Altered(target._store)
        await copy_documents(source, altered)
        with pytest.raises(StoreError, match="of one account's deliveries only the first 0 are the same"):
            async with altered.finished() as found:
                await compare(source, found)
    with pytest.raises(StoreUnusable, match="in part only"):
        await PostgresStore(Database(new.store.url)).open()


def command(old: Path, config: Path, *more: str) -> list[str]:
    """Return a command line that copies a directory to the database of the settings."""
    return [sys.executable, "-m", "consignee", "store", "copy", "--from", str(old), "--config", str(config), *more]


def write_settings(directory: Path, new: Settings) -> tuple[Path, dict[str, str]]:
    """Write settings without the URL, and return their file and the environment that has the URL's."""
    config, url = directory / "new.toml", directory / "url"
    config.write_text(f"[delivery]\nspool = {json.dumps(new.delivery.spool)}\n")
    url.touch(mode=0o600)
    url.write_text(new.store.url.reveal())
    return config, {**environment(), "CONSIGNEE_STORE__URL_FILE": str(url)}


async def is_refused(settings: Settings) -> bool:
    """Return whether the database does not open, because it was copied to in part."""
    try:
        await content_in(settings)
    except StoreUnusable as error:
        return "in part only" in str(error)
    return False


async def test_killed_again_and_again_it_ends_whole(old: Settings, new: Settings, tmp_path: Path) -> None:
    """`COPY_KILLS` says how often. No service opens before it has ended; the password is never told."""
    config, variables = write_settings(tmp_path, new)
    line = command(Path(old.store.path), config, "--json")
    chance, refused = random.Random(8), 0
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(*line, stdout=subprocess.DEVNULL, env=variables)
        try:
            await asyncio.wait_for(process.wait(), chance.uniform(0.8, 2.0))
        except TimeoutError:
            process.kill()
            await process.wait()
        refused += await is_refused(new)
    done = subprocess.run(line, capture_output=True, text=True, env=variables, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0 or "there is a store" in told["request_info"]["message"], done.stderr
    assert await content_in(new) == await content_of(old)
    assert kept_in(Path(new.delivery.spool)) == kept_in(Path(old.store.path) / "spool")
    assert PASSWORD not in done.stdout + done.stderr
    print(f"\nkilled {KILLS} times, then {refused} times refused")  # noqa: T201


async def test_the_command_says_what_there_is_now(old: Settings, new: Settings, tmp_path: Path) -> None:
    config, variables = write_settings(tmp_path, new)
    line = command(Path(old.store.path), config)
    done = subprocess.run(line, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "13 documents are the same in both, 13 of them new" in lines[0]
    assert "result_sets   3" in lines
    assert any(text.startswith("5 files of result sets, ") for text in lines)
    assert PASSWORD not in done.stdout + done.stderr
    same = subprocess.run([*line, "--to", old.store.path], capture_output=True, text=True, env=variables, check=False)
    assert same.returncode == 2
    assert "--from and --to must be two stores" in same.stderr
