"""On a full disk documents are still removed; saves come back when there is room, without a restart."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from consignee.errors import StoreError, StoreFull
from consignee.store.disk import allocate
from consignee.store.json_file import JsonFileStore
from consignee.store.reserve import Reserve
from consignee.testing.stores import KIND

RESERVE = 64 << 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("not root, or no mount: no disk that could be filled")
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("not allowed to mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """Leave not one block free."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        assert os.statvfs(path).f_bfree == 0
    finally:
        os.close(fd)


async def opened(path: Path) -> JsonFileStore:
    """Return an open store."""
    store = JsonFileStore(path, reserve=RESERVE)
    await store.open()
    return store


async def _save_until_full(store: JsonFileStore) -> int:
    for number in range(1000):
        try:
            await store.save(KIND, "a", str(number), {"text": "x" * 1000})
        except StoreFull:
            return number
    raise AssertionError("the disk never became full")


async def _save_until_taken(store: JsonFileStore) -> None:
    """What is dead goes between two groups, so the first save may come too early."""
    for _ in range(100):
        with suppress(StoreFull):
            await store.save(KIND, "a", "after", {})
            return
        await asyncio.sleep(0.01)
    raise AssertionError("there is no room")


@pytest.mark.root
async def test_removals_work_without_one_free_block(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = await opened(disk / "store")
    saved = await _save_until_full(store)
    fill(disk / "filler")
    group = [store.remove(KIND, "a", str(number), replaces=1) for number in range(saved - 1)]
    refused = [store.save(KIND, "a", f"new{number}", {}) for number in range(9)]
    first = store.save(KIND, "a", "large", {"text": "x" * 5000})
    outcomes = await asyncio.gather(first, *group, *refused, return_exceptions=True)
    assert isinstance(outcomes[0], StoreFull)
    assert outcomes[1:saved] == [None] * (saved - 1)
    assert [type(outcome) for outcome in outcomes[saved:]] == [StoreFull] * 9
    assert [one.id for one in await store.list(KIND, "a")] == [str(saved - 1)]
    assert store.writable
    (disk / "filler").unlink()
    await _save_until_taken(store)
    await store.close()
    assert [text for text in caplog.messages if "the store's disk is full: only reading" in text]
    assert "there is room on the store's disk again" in caplog.text
    again = await opened(disk / "store")
    assert await again.ids(KIND, "a") == [str(saved - 1), "after"]
    await again.close()


@pytest.mark.root
async def test_a_store_is_opened_on_a_full_disk_and_lets_be_removed(disk: Path) -> None:
    store = await opened(disk / "store")
    for number in range(20):
        await store.save(KIND, "a", str(number), {})
    await store.close()
    (disk / "store" / "reserve").unlink()
    fill(disk / "filler")
    os.truncate(disk / "filler", (disk / "filler").stat().st_size - 8192)
    store = await opened(disk / "store")
    with pytest.raises(StoreFull, match="full"):
        await store.save(KIND, "a", "new", {})
    for number in range(20):
        await store.remove(KIND, "a", str(number), replaces=1)
    assert await store.count(KIND, "a") == 0
    await store.close()


@pytest.mark.root
async def test_when_even_the_reserve_is_used_up_a_removal_is_refused(disk: Path) -> None:
    """And takes nothing away."""
    store = await opened(disk / "store")
    await store.save(KIND, "a", "x" * 5000, {})
    os.truncate(disk / "store" / "reserve", 0)
    fill(disk / "filler")
    with pytest.raises(StoreFull):
        await store.remove(KIND, "a", "x" * 5000, replaces=1)
    assert await store.count(KIND, "a") == 1
    (disk / "filler").unlink()
    await store.remove(KIND, "a", "x" * 5000, replaces=1)
    await store.close()


async def test_a_reserve_that_can_not_be_opened_fails_the_save_alone(tmp_path: Path) -> None:
    """The store can't hold room then, and must not promise that removals have it."""
    store = JsonFileStore(tmp_path / "store", reserve=1 << 60)
    await store.open()
    with pytest.raises(StoreFull):
        await store.save(KIND, "a", "1", {})
    (tmp_path / "store" / "reserve").unlink()
    (tmp_path / "store" / "reserve").mkdir()
    with pytest.raises(StoreError, match="the store's reserve can't be used: Is a directory"):
        await store.save(KIND, "a", "1", {})
    assert store.writable
    await store.close()


def test_room_is_had_also_where_it_must_be_written(tmp_path: Path) -> None:
    """Not each system, and not each file system, can set it aside."""
    reading, writing = os.pipe()
    allocate(writing, 100)
    assert os.read(reading, 1000) == bytes(100)
    os.close(reading)
    os.close(writing)


@pytest.mark.root
def test_a_file_system_that_can_not_set_room_aside_is_not_full(tmp_path: Path) -> None:
    """There the C library reads and writes in its place."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("not root, or no mount")
    if subprocess.run(["mount", "-t", "ramfs", "ramfs", str(tmp_path)], capture_output=True, check=False).returncode:
        pytest.skip("not allowed to mount")
    try:
        assert Reserve(tmp_path / "reserve", RESERVE).take()
        assert Reserve(tmp_path / "reserve", RESERVE).take()
        assert (tmp_path / "reserve").stat().st_size == RESERVE
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
