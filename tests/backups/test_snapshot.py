"""A backup is of one instant, whatever goes on in the store and the spool while it is written."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backups.filled import FILES, NOON, back_up, content_of, fill, settings_of, spooled
from consignee.backups.restoring import restore
from consignee.backups.snapshot import backed_up
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.delivery.spool import Spool
from consignee.errors import StoreError
from consignee.store.json_file import JsonFileStore
from consignee.store.memory import MemoryStore

KIND = "destinations"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JsonFileStore]:
    """A store that is written anew all the time."""
    store = JsonFileStore(tmp_path / "old" / "store", compact_above=1000, reserve=0)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    """The spool beside it."""
    spool = Spool(tmp_path / "old" / "store" / "spool")
    await spool.open()
    yield spool
    await spool.close()


async def test_what_is_saved_removed_and_compacted_meanwhile_is_not_in_it(store: JsonFileStore, tmp_path: Path) -> None:
    for number in range(50):
        await store.save(KIND, "a", str(number), {"n": number})
    before = {document.id: document.data for document in await store.list(KIND, "a")}
    async with backed_up(store, spool=None, version="1", now=NOON) as pieces:
        inode = (tmp_path / "old" / "store" / f"{KIND}.jsonl").stat().st_ino
        for revision in range(1, 40):
            saves = (store.save(KIND, "a", str(number), {"n": -1}, replaces=revision) for number in range(50))
            await asyncio.gather(*saves)
        await store.save("collections", "a", "later", {})
        await store.remove(KIND, "a", "0", replaces=40)
        assert (tmp_path / "old" / "store" / f"{KIND}.jsonl").stat().st_ino != inode, "it was compacted"
        (tmp_path / "backup.tar").write_bytes(b"".join(pieces))
    await restore(tmp_path / "backup.tar", settings_of(tmp_path / "new"))
    restored = JsonFileStore(tmp_path / "new" / "store")
    await restored.open()
    assert restored.kinds() == [KIND]
    assert {document.id: document.data for document in await restored.list(KIND, "a")} == before
    await restored.close()


async def test_files_that_nothing_needs_any_more_stay_until_the_backup_has_them(
    store: JsonFileStore, spool: Spool, tmp_path: Path
) -> None:
    """A result set that is retired or deleted while its files are copied is in the backup whole; then it goes."""
    kept = await spooled(spool, FILES)
    await store.save(RESULT_SETS, "a", "AAAA0000.1", kept)
    async with (
        spool.held() as directory,
        backed_up(store, spool=directory, version="1", now=NOON) as pieces,
    ):
        await store.remove(RESULT_SETS, "a", "AAAA0000.1", replaces=1)
        await spool.remove(kept["token"])
        assert await spool.tokens() == [kept["token"]]
        (tmp_path / "backup.tar").write_bytes(b"".join(pieces))
    assert await spool.tokens() == []
    await restore(tmp_path / "backup.tar", settings_of(tmp_path / "new"))
    found = content_of(tmp_path / "new" / "store")
    assert {content for path, content in found.items() if path.startswith("spool/")} == set(FILES.values())


async def test_two_backups_at_once_hold_the_files_until_the_second_is_done(spool: Spool) -> None:
    kept = await spooled(spool, FILES)
    async with spool.held():
        async with spool.held():
            await spool.remove(kept["token"])
        assert await spool.tokens() == [kept["token"]]
    assert await spool.tokens() == []


async def test_files_that_can_not_be_removed_after_a_backup_are_left_to_the_next_start(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await spooled(spool, FILES)
    place = tmp_path / "old" / "store" / "spool" / "incoming"
    async with spool.held():
        await spool.remove(kept["token"])
        (place / kept["token"]).mkdir()
        (place / kept["token"] / "in the way").touch()
    assert "until the next start" in caplog.text
    assert await spool.tokens() == [kept["token"]]


@pytest.mark.parametrize("harm", ["missing", "shorter"])
async def test_a_file_that_is_not_as_it_was_handed_over_is_left_out_and_named(
    store: JsonFileStore, spool: Spool, tmp_path: Path, harm: str
) -> None:
    """All else is backed up and restored: one lost file is not the end of every backup."""
    kept = await spooled(spool, FILES)
    await store.save(RESULT_SETS, "a", "AAAA0000.1", kept)
    file = tmp_path / "old" / "store" / "spool" / "kept" / kept["token"] / "0"
    file.unlink() if harm == "missing" else file.write_bytes(b"x")
    async with backed_up(store, spool=tmp_path / "old" / "store" / "spool", version="1", now=NOON) as pieces:
        (tmp_path / "backup.tar").write_bytes(b"".join(pieces))
    restored = await restore(tmp_path / "backup.tar", settings_of(tmp_path / "new"))
    assert restored.manifest.missing == (f"spool/{kept['token']}/0",)
    assert "1 files of result sets are missing" in str(restored.manifest.lack)
    found = content_of(tmp_path / "new" / "store")
    assert sorted(Path(path).name for path in found if path.startswith("spool/")) == ["1", "2"]


async def test_a_file_that_can_not_be_opened_breaks_the_backup_off(
    store: JsonFileStore, spool: Spool, tmp_path: Path
) -> None:
    """It may be there all the same."""
    kept = await spooled(spool, FILES)
    await store.save(RESULT_SETS, "a", "AAAA0000.1", kept)
    file = tmp_path / "old" / "store" / "spool" / "kept" / kept["token"] / "0"
    file.unlink()
    file.mkdir()
    async with backed_up(store, spool=tmp_path / "old" / "store" / "spool", version="1", now=NOON) as pieces:
        with pytest.raises(StoreError, match=f"spool/{kept['token']}/0 could not be backed up: Is a directory"):
            list(pieces)


async def test_only_an_open_store_in_files_is_backed_up(tmp_path: Path) -> None:
    closed, memory = JsonFileStore(tmp_path / "store"), MemoryStore()
    await memory.open()
    for store, why in ((closed, "not open"), (memory, "only a store in files")):
        with pytest.raises(StoreError, match=why):
            await backed_up(store, spool=None, version="1", now=NOON).__aenter__()


async def test_a_log_that_another_file_replaced_is_not_backed_up(store: JsonFileStore, tmp_path: Path) -> None:
    """After a failed renaming nobody knows which of the two is there; and no descriptor is left open."""
    await store.save("collections", "a", "1", {})
    await store.save(KIND, "a", "1", {})
    file = tmp_path / "old" / "store" / f"{KIND}.jsonl"
    file.rename(file.with_suffix(".old"))
    file.touch(mode=0o600)
    with pytest.raises(StoreError, match="another file took its name"):
        await store.snapshot()


async def test_an_empty_store_is_backed_up_and_restored_too(store: JsonFileStore, tmp_path: Path) -> None:
    async with backed_up(store, spool=tmp_path, version="1", now=NOON) as pieces:
        (tmp_path / "backup.tar").write_bytes(b"".join(pieces))
    restored = await restore(tmp_path / "backup.tar", settings_of(tmp_path / "new"))
    assert (restored.keys, dict(restored.manifest.members)) == ((), {})


async def test_without_its_files_a_backup_holds_the_documents_alone(tmp_path: Path) -> None:
    whole = await fill(tmp_path / "old")
    backup = await back_up(tmp_path / "old", tmp_path / "backup.tar", files=False)
    restored = await restore(backup, settings_of(tmp_path / "new"))
    assert not restored.manifest.files
    assert content_of(tmp_path / "new" / "store") == {
        path: content for path, content in whole.items() if not path.startswith("spool/")
    }
