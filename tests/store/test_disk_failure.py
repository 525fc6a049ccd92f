"""What the store does when the disk fails: really full, really over a limit, or with an error put into a system call."""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from consignee.errors import StoreError, StoreFull, StoreUnusable
from consignee.store.disk import write_durably
from consignee.store.json_file import JsonFileStore
from consignee.store.log_file import Doubtful, LogFile
from consignee.testing.stores import KIND
from store.victim import TESTS

FILE = f"{KIND}.jsonl"

pytestmark = pytest.mark.usefixtures("private")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JsonFileStore]:
    """A store with one document."""
    store = JsonFileStore(tmp_path, compact_above=2000)
    await store.open()
    await store.save(KIND, "a", "0", {"n": 0})
    yield store
    await store.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow over `size` bytes: the write that does is short, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def _ids(path: Path) -> list[str]:
    store = JsonFileStore(path)
    await store.open()
    try:
        return [document.id for document in await store.list(KIND, "a")]
    finally:
        await store.close()


async def test_a_short_write_fails_its_group_and_is_taken_back(store: JsonFileStore, tmp_path: Path) -> None:
    """All calls of the group and no others; then saves work again, and nothing of the group is ever seen."""
    before = (tmp_path / FILE).read_bytes()
    with file_size_limit(len(before) + 100):
        saves = [store.save(KIND, "a", f"x{n}", {"text": "x" * 200}) for n in range(5)]
        outcomes = await asyncio.gather(*saves, store.save("other", "a", "1", {}), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:-1]] == [StoreError] * 5
    assert not isinstance(outcomes[-1], BaseException), "another file was not over the limit"
    assert (tmp_path / FILE).read_bytes() == before
    assert store.writable
    assert [d.id for d in await store.list(KIND, "a")] == ["0"]
    await store.save(KIND, "a", "x0", {})
    await store.close()
    assert await _ids(tmp_path) == ["0", "x0"]


async def test_a_failed_save_does_not_count_towards_the_limit(store: JsonFileStore) -> None:
    with file_size_limit(100), pytest.raises(StoreError, match="File too large"):
        await store.save(KIND, "a", "1", {}, limit=2)
    await store.save(KIND, "a", "1", {}, limit=2)
    assert await store.count(KIND, "a") == 2


async def test_a_file_that_can_not_be_created_leaves_nothing(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path)
    await store.open()
    with file_size_limit(50), pytest.raises(StoreError, match="could not write"):
        await store.save(KIND, "a", "1", {})
    assert store.kinds() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "reserve"]
    await store.save(KIND, "a", "1", {})
    await store.close()
    assert await _ids(tmp_path) == ["1"]


async def test_a_file_that_can_not_take_its_name_makes_the_store_read_only(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path)
    await store.open()
    (tmp_path / FILE).mkdir(mode=0o700)
    with pytest.raises(StoreError, match="Is a directory"):
        await store.save(KIND, "a", "1", {})
    assert not store.writable
    assert await store.list(KIND, "a") == []
    await store.close()
    with pytest.raises(StoreUnusable, match="Is a directory"):
        await JsonFileStore(tmp_path).open()


async def test_a_compaction_that_can_not_take_its_name_loses_nothing(store: JsonFileStore, tmp_path: Path) -> None:
    """The store can't know which file a restart will find, so it takes no more; what it has told of, both hold."""
    (tmp_path / FILE).rename(tmp_path / "aside")
    (tmp_path / FILE).mkdir(mode=0o700)
    revision = await _save_until_read_only(store)
    with pytest.raises(StoreError, match="read-only"):
        await store.remove(KIND, "a", "0", replaces=revision)
    found = await store.get(KIND, "a", "0")
    assert found is not None
    assert found.revision == revision
    await store.close()
    (tmp_path / FILE).rmdir()
    (tmp_path / "aside").rename(tmp_path / FILE)
    assert await _ids(tmp_path) == ["0"]


async def _save_until_read_only(store: JsonFileStore) -> int:
    for revision in range(1, 1000):
        try:
            await store.save(KIND, "a", "0", {"n": revision}, replaces=revision)
        except StoreError as error:
            assert "read-only" in str(error)  # noqa: PT017
            return revision
    raise AssertionError("no compaction was tried")


def test_a_file_that_can_not_be_cut_back_is_doubtful(tmp_path: Path) -> None:
    """A full device takes nothing, and has no length that could be restored."""
    file = LogFile(tmp_path / FILE, os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(Doubtful, match="No space left"):
        file.append(b"x")
    file.close()


def test_a_file_that_can_not_be_synced_is_doubtful(tmp_path: Path) -> None:
    """A pipe takes the bytes, but can't promise anything."""
    reading, writing = os.pipe()
    file = LogFile(tmp_path / FILE, writing)
    with pytest.raises(Doubtful, match="Invalid argument"):
        file.append(b"x")
    file.close()
    os.close(reading)


class Clock:
    """Fails when it is told to, as nothing on the disk would."""

    broken = False

    def __call__(self) -> datetime:
        if self.broken:
            raise OverflowError("no such date")
        return datetime(2026, 1, 31)  # noqa: DTZ001


async def test_an_unexpected_fault_fails_the_save_and_stops_all_writing(tmp_path: Path) -> None:
    clock = Clock()
    store = JsonFileStore(tmp_path, now=clock)
    await store.open()
    clock.broken = True
    with pytest.raises(StoreError, match="failed unexpectedly"):
        await store.save(KIND, "a", "1", {})
    assert not store.writable
    await store.close()
    assert await _ids(tmp_path) == []


async def test_an_unexpected_fault_in_a_compaction_leaves_the_old_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    store = JsonFileStore(tmp_path, now=clock, compact_above=1000)
    await store.open()
    for n in range(50):
        await store.save(KIND, "a", "0", {"n": n}, replaces=n)
        clock.broken = True
    assert store.writable
    await store.close()
    assert "could not be compacted" in caplog.text
    assert await _ids(tmp_path) == ["0"]


def test_a_durable_write_replaces_the_file_or_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    write_durably(file, b"one")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"one", 0o600)
    write_durably(file, b"two", mode=0o640)
    with file_size_limit(2), pytest.raises(OSError, match="File too large"):
        write_durably(file, b"three")
    assert file.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


PROGRAM = """
import asyncio, json, os, sys
from pathlib import Path
from consignee.errors import StoreError
from consignee.store.json_file import JsonFileStore

async def main(path: Path, saves: int) -> None:
    store = JsonFileStore(path, compact_above=2000)
    await store.open()
    told = []
    for n in range(saves):
        try:
            told.append((await store.save("destinations", "a", "0", {"n": n, "t": "x" * 100}, replaces=n)).revision)
        except StoreError as error:
            told.append(str(error))
            break
    found = await store.get("destinations", "a", "0")
    print(json.dumps([told, store.writable, found and found.revision]))
    await store.close()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-f", "-e", "inject=fdatasync:error=EIO", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _strace_works(), reason="strace is not installed, or may not trace")
@pytest.mark.parametrize(
    ("call", "when", "saves", "acknowledged", "kept"),
    [
        pytest.param("fdatasync", 2, 9, 2, 2, id="data"),
        pytest.param("fsync", 2, 9, 0, None, id="directory of a new file"),
        pytest.param("fsync", 4, 90, None, None, id="directory after a compaction"),
    ],
)
async def test_after_a_failed_sync_nothing_more_is_written(
    tmp_path: Path, call: str, when: int, saves: int, acknowledged: int | None, kept: int | None
) -> None:
    """The call fails, reads go on, and a restart finds what was acknowledged and not what failed."""
    (tmp_path / "store").mkdir(mode=0o700)
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={call}:error=EIO:when={when}"]
    command = [*trace, sys.executable, "-c", PROGRAM, str(tmp_path / "store"), str(saves)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TESTS)
    told, writable, found = json.loads(done.stdout)
    assert "read-only" in told[-1] or "Input/output error" in told[-1]
    assert told[:-1] == list(range(1, len(told)))
    assert not writable
    if acknowledged is not None:
        assert len(told) - 1 == acknowledged
    last = len(told) - 1 or None
    assert found == last
    assert kept in (last, None)
    store = JsonFileStore(tmp_path / "store")
    await store.open()
    again = await store.get(KIND, "a", "0")
    assert (again.revision if again else None) == last
    await store.close()


async def _save_until_full(store: JsonFileStore) -> int:
    for number in range(1000):
        try:
            await store.save(KIND, "a", str(number), {"text": "x" * 1000})
        except StoreError as error:
            assert isinstance(error, StoreFull)  # noqa: PT017
            return number
    raise AssertionError("the disk never became full")


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="not root, or no mount: no disk that could be filled"
)
async def test_a_full_disk_refuses_until_there_is_room(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("not allowed to mount")
    try:
        await _fill_and_make_room(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


async def _fill_and_make_room(path: Path) -> None:
    (path / "filler").write_bytes(b"x" * 40_000)
    store = JsonFileStore(path / "store", reserve=8000)
    await store.open()
    saved = await _save_until_full(store)
    assert saved > 0
    assert store.writable
    (path / "filler").unlink()
    await store.save(KIND, "a", "after", {})
    await store.close()
    assert await _ids(path / "store") == [*map(str, range(saved)), "after"]
