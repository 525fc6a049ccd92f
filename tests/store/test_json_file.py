"""The store on the disk keeps the contract, over restarts and compactions."""

import asyncio
import json
import logging
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consignee.errors import Conflict, StoreError, StoreUnusable
from consignee.store import Document
from consignee.store.json_file import JsonFileStore
from consignee.testing.stores import KIND, StoreContract

FILE = f"{KIND}.jsonl"


def fixed_now() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


@asynccontextmanager
async def opened(path: Path, *, compact_above: int = 1 << 20) -> AsyncIterator[JsonFileStore]:
    """Open the store in `path`, and close it."""
    store = JsonFileStore(path, now=fixed_now, compact_above=compact_above)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JsonFileStore]:
    """A new store."""
    async with opened(tmp_path / "store") as store:
        yield store


class TestJsonFileStore(StoreContract):
    """The contract, over files."""


class TestJsonFileStoreThatAlwaysCompacts(StoreContract):
    """The contract, while every file is written anew as often as can be."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JsonFileStore]:
        async with opened(tmp_path / "store", compact_above=0) as store:
            yield store


async def test_a_file_has_a_header_and_a_line_for_each_change(store: JsonFileStore, tmp_path: Path) -> None:
    """Written out byte for byte: these files outlive the version that wrote them."""
    await store.save(KIND, "a", "0A", {"z": "ü", "a": [1, None]})
    await store.remove(KIND, "a", "0A", replaces=1)
    assert (tmp_path / "store" / FILE).read_text().splitlines() == [
        '{"sum":"15e4c43d","format":1,"kind":"destinations","written":"2026-01-31T12:00:00+00:00"}',
        '{"sum":"01cc1c79","account":"a","id":"0A","revision":1,"data":{"z":"ü","a":[1,null]}}',
        '{"sum":"e385ae6f","account":"a","id":"0A","revision":2,"data":null}',
    ]


async def test_every_line_is_json(store: JsonFileStore, tmp_path: Path) -> None:
    await store.save(KIND, 'a"\\\n', "1", {"text": "\u2028\x85\n\0"})
    lines = (tmp_path / "store" / FILE).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert json.loads(lines[1])["data"] == {"text": "\u2028\x85\n\0"}
    assert len(lines) == 2


async def test_only_the_owner_may_read(store: JsonFileStore, tmp_path: Path) -> None:
    await store.save(KIND, "a", "1", {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()}
    assert modes == {"lock": 0o600, "reserve": 0o600, FILE: 0o600}
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


async def _many_changes(store: JsonFileStore) -> list[Document]:
    for n in range(20):
        await store.save(KIND, "a", f"id{n * 7 % 20}", {"n": n, 'q"\\': "ü"})
    for n in range(0, 20, 3):
        await store.save(KIND, "a", f"id{n}", {"n": n, "again": True}, replaces=1)
    for n in range(0, 20, 4):
        await store.remove(KIND, "a", f"id{n}", replaces=2 if n % 3 == 0 else 1)
    await store.save(KIND, "a", "id4", {"back": True})
    return await store.list(KIND, "a")


@pytest.mark.parametrize("compact_above", [0, 500, 1 << 20])
async def test_a_restart_finds_all_in_the_same_order(tmp_path: Path, compact_above: int) -> None:
    async with opened(tmp_path, compact_above=compact_above) as store:
        expected = await _many_changes(store)
    for _ in range(2):
        async with opened(tmp_path, compact_above=compact_above) as store:
            assert await store.list(KIND, "a") == expected
            await store.save(KIND, "b", "x", {}, replaces=await _revision(store, "b", "x"))
    assert len(expected) == 16


async def _revision(store: JsonFileStore, account: str, id: str) -> int:  # noqa: A002
    found = await store.get(KIND, account, id)
    return found.revision if found else 0


async def test_a_file_that_is_mostly_dead_is_written_anew(tmp_path: Path) -> None:
    """The size stays bounded by what is alive, at rest and with somebody always waiting."""
    async with opened(tmp_path, compact_above=2000) as store:
        await asyncio.gather(*(_rewrite(store, str(n), times=200) for n in range(4)))
        await store.save(KIND, "a", "last", {})
    assert (tmp_path / FILE).stat().st_size < 8000
    async with opened(tmp_path) as store:
        assert [d.data.get("n") for d in await store.list(KIND, "a")] == [199, 199, 199, 199, None]


async def _rewrite(store: JsonFileStore, id: str, *, times: int) -> None:  # noqa: A002
    for n in range(times):
        await store.save(KIND, "a", id, {"n": n}, replaces=n)


async def test_what_is_alive_is_not_written_anew(tmp_path: Path) -> None:
    """Above the threshold, but with nothing dead in it, a file only grows."""
    async with opened(tmp_path, compact_above=400) as store:
        await store.save(KIND, "a", "first", {})
        inode = (tmp_path / FILE).stat().st_ino
        for n in range(50):
            await store.save(KIND, "a", str(n), {})
        assert (tmp_path / FILE).stat().st_ino == inode


async def test_a_compaction_that_fails_leaves_the_old_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path, compact_above=2000) as store:
        await store.save(KIND, "a", "2", {})
        (tmp_path / f"{FILE}.new").mkdir()
        await _rewrite(store, "1", times=100)
        assert store.writable
    assert "could not write" in caplog.text
    (tmp_path / f"{FILE}.new").rmdir()
    async with opened(tmp_path) as store:
        assert await _revision(store, "a", "1") == 100


async def test_a_leftover_of_a_compaction_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").write_text("half of a")
    async with opened(tmp_path) as store:
        assert store.kinds() == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "reserve"]


@pytest.mark.usefixtures("private")
async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Backup-1.jsonl").write_text("mine")
    async with opened(tmp_path) as store:
        assert store.kinds() == []
    assert (tmp_path / "Backup-1.jsonl").read_text() == "mine"


async def test_a_second_opening_is_refused(store: JsonFileStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=f"{tmp_path / 'store'} is in use"):
        await JsonFileStore(tmp_path / "store").open()
    await store.save(KIND, "a", "1", {})
    assert store.writable, "the first one goes on"


async def test_a_second_process_is_refused(store: JsonFileStore, tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys; from consignee.store.json_file import JsonFileStore;"
        " asyncio.run(JsonFileStore(pathlib.Path(sys.argv[1])).open())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "in use: only one process" in result.stderr
    assert store.writable


async def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match="can't use the store"):
        await JsonFileStore(tmp_path / "file").open()


async def test_nothing_works_before_opening(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path)
    assert not store.writable
    with pytest.raises(StoreError, match="not open"):
        await store.save(KIND, "a", "1", {})
    with pytest.raises(StoreError, match="not open"):
        await store.list(KIND, "a")
    await store.close()


async def test_many_savers_share_a_commit(store: JsonFileStore) -> None:
    await asyncio.gather(*(store.save(KIND, "a", str(n), {}) for n in range(50)))
    assert await store.count(KIND, "a") == 50
    assert 1 <= store.commits <= 5


async def test_a_reader_sees_nothing_that_is_not_durable(store: JsonFileStore) -> None:
    """Whatever a reader sees before the save has returned is what was there before."""
    await store.save(KIND, "a", "1", {"n": 1})
    saving = asyncio.create_task(store.save(KIND, "a", "1", {"n": 2}, replaces=1))
    await asyncio.sleep(0)
    found = await store.get(KIND, "a", "1")
    assert not saving.done()
    assert found is not None
    assert found.data == {"n": 1}
    await saving


async def test_a_cancelled_caller_does_not_break_its_group(store: JsonFileStore) -> None:
    """The write that was begun takes effect, and so do those of the others."""
    saves = [asyncio.create_task(store.save(KIND, "a", str(n), {})) for n in range(10)]
    await asyncio.sleep(0)
    for save in saves[::2]:
        save.cancel()
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 5
    await store.save(KIND, "a", "last", {})
    assert await store.count(KIND, "a") == 11


async def test_a_save_waits_for_one_of_the_same_document(store: JsonFileStore) -> None:
    """It is judged by how the first one ended, so it may well build on it."""
    first = asyncio.create_task(store.save(KIND, "a", "1", {"n": 1}))
    second = asyncio.create_task(store.save(KIND, "a", "1", {"n": 2}, replaces=1))
    third = asyncio.create_task(store.remove(KIND, "a", "1", replaces=1))
    outcomes = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Document, Document, Conflict]


async def test_close_waits_for_what_was_begun(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path)
    await store.open()
    saves = [asyncio.create_task(store.save(KIND, "a", str(n), {})) for n in range(10)]
    late = asyncio.create_task(store.save(KIND, "a", "0", {}, replaces=1))
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert [(await save).revision for save in saves] == [1] * 10
    with pytest.raises(StoreError, match="not open"):
        await late
    async with opened(tmp_path) as store:
        assert await store.count(KIND, "a") == 10


async def test_an_opening_that_is_cancelled_lets_go(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path)
    opening = asyncio.create_task(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    with suppress(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(10), _eventually_opened(tmp_path) as again:
        assert again.writable


@asynccontextmanager
async def _eventually_opened(path: Path) -> AsyncIterator[JsonFileStore]:
    while True:
        with suppress(StoreUnusable):
            async with opened(path) as store:
                yield store
                return
        await asyncio.sleep(0.01)


async def test_the_loop_is_not_blocked_by_an_opening(tmp_path: Path) -> None:
    """The files are read in another thread."""
    async with opened(tmp_path) as store:
        await store.save(KIND, "a", "1", {})
    threads: list[str] = []

    class Watched(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            threads.append(threading.current_thread().name)

    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes() + b'{"sum')
    handler = Watched()
    logging.getLogger("consignee.store").addHandler(handler)
    async with opened(tmp_path):
        pass
    logging.getLogger("consignee.store").removeHandler(handler)
    assert [name.rpartition("_")[0] for name in threads] == ["consignee-store"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A closed store leaves no thread behind."""
    yield
    threads = [t for t in threading.enumerate() if t.name.startswith("consignee-store")]
    for thread in threads:
        thread.join(10)
    assert [thread.name for thread in threads if thread.is_alive()] == []
