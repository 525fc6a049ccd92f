"""A file that was cut short is mended; one that was damaged is refused, never read in part."""

import asyncio
import json
import logging
import random
import zlib
from pathlib import Path

import pytest

from consignee.errors import StoreUnusable
from consignee.store.json_file import JsonFileStore
from consignee.testing.stores import KIND

pytestmark = pytest.mark.usefixtures("private")

Found = dict[str, tuple[int, object]]


async def read(path: Path) -> Found:
    """Open the store, and return what it holds: by id, revision and data."""
    store = JsonFileStore(path)
    await store.open()
    try:
        return {d.id: (d.revision, d.data) for d in await store.list(KIND, "a")}
    finally:
        await store.close()


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A file with several records: new ones, changes and removals."""
    store = JsonFileStore(tmp_path)
    await store.open()
    for n in range(8):
        await store.save(KIND, "a", f"J*{n}", {"n": n, "text": "JJ**ü" * n})
    await store.save(KIND, "a", "J*3", {"n": "new"}, replaces=1)
    await store.remove(KIND, "a", "J*4", replaces=1)
    await store.save(KIND, "a", "J*5", {"n": "newer"}, replaces=1)
    await store.close()
    return tmp_path / f"{KIND}.jsonl"


def sealed(rest: str) -> bytes:
    """Return a line with the right checksum."""
    return b'{"sum":"%08x",%b\n' % (zlib.crc32(rest.encode()), rest.encode())


async def test_every_cut_of_the_last_records_starts_with_what_is_before_it(file: Path) -> None:
    """Wherever a power cut ends the file, all whole records are there, and nothing else; the next start is clean."""
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(b"".join(lines[:-3])), len(whole)):
        file.write_bytes(whole[:length])
        found = await read(file.parent)
        kept = file.read_bytes()
        assert kept == whole[: whole.rfind(b"\n", 0, length) + 1]
        assert found == _expected(kept)


def _expected(content: bytes) -> Found:
    found: Found = {}
    for line in content.splitlines()[1:]:
        record = json.loads(line)
        found[record["id"]] = (record["revision"], record["data"])
    return {key: value for key, value in found.items() if value[1] is not None}


@pytest.mark.parametrize("tail", [b'{"sum":"0', b"\0" * 5000, b'{"sum":"0' + b"\0" * 5000, b"\xff", b"{"])
async def test_a_torn_tail_is_cut_off_with_a_warning(file: Path, caplog: pytest.LogCaptureFixture, tail: bytes) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole + tail)
    assert await read(file.parent) == _expected(whole)
    assert file.read_bytes() == whole
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"{file}: the last {len(tail)} bytes" in warnings[0]


async def test_a_store_that_was_mended_goes_on(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    store = JsonFileStore(file.parent)
    await store.open()
    await store.save(KIND, "a", "after", {"n": 1})
    await store.close()
    assert (await read(file.parent))["after"] == (1, {"n": 1})


async def test_every_flipped_bit_is_detected(file: Path) -> None:
    """A bit that flips anywhere stops the start: also in the header, in a checksum, in the last newline."""
    whole = file.read_bytes()
    dice = random.Random(20260131)
    places = {(dice.randrange(len(whole)), dice.randrange(8)) for _ in range(300)}
    places |= {(place, bit) for place in (*range(100), len(whole) - 1) for bit in range(8)}
    for place, bit in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        file.write_bytes(damaged)
        with pytest.raises(StoreUnusable, match=file.name):
            await read(file.parent)
        assert file.read_bytes() == damaged, "what was refused was not touched"


async def test_a_bad_record_is_named_with_its_line_and_what_to_do(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"n":3', b'"n":4')
    file.write_bytes(b"".join(lines))
    with pytest.raises(StoreUnusable) as refusal:
        await read(file.parent)
    assert str(refusal.value).startswith(f"{file}, line 5: the record is damaged: the checksum does not match.")
    assert "backup" in str(refusal.value)
    assert "delete that line" in str(refusal.value)


async def test_the_advice_for_a_bad_record_works(file: Path) -> None:
    """Without the damaged line the store starts, and only what that line said is missing."""
    lines = file.read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines)):
        file.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert await read(file.parent) == _expected(file.read_bytes())


async def test_an_altered_last_newline_is_not_taken_for_a_torn_line(file: Path) -> None:
    """The record was saved and acknowledged: to cut it off would lose it."""
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    with pytest.raises(StoreUnusable, match="line 12: the newline after the record was altered"):
        await read(file.parent)


@pytest.mark.parametrize("revision", [1, 2])
async def test_a_revision_that_does_not_grow_is_refused(file: Path, revision: int) -> None:
    line = sealed(f'"account":"a","id":"J*3","revision":{revision},"data":{{}}}}')
    file.write_bytes(file.read_bytes() + line)
    with pytest.raises(StoreUnusable, match=f"line 13: revision {revision} of 'J.3' follows revision 2"):
        await read(file.parent)


@pytest.mark.parametrize(
    "rest", ['"account":"a","id":"x","revision":0,"data":{}}', '"id":"x"}', '"account":"a"}', "[]", "}"]
)
async def test_what_is_no_record_is_refused(file: Path, rest: str) -> None:
    """Also with the right checksum."""
    file.write_bytes(file.read_bytes() + sealed(rest))
    with pytest.raises(StoreUnusable, match="line 13: the record is damaged: it is not a record"):
        await read(file.parent)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "line 1: the file is empty"),
        (sealed(f'"format":1,"kind":"{KIND}"}}')[:-1], "line 1: the header"),
        (b"\n", "line 1: the header is damaged"),
        (b"{}\n", "line 1: the header is damaged"),
        (sealed('"account":"a","id":"x","revision":1,"data":{}}'), "line 1: it is not a header"),
        (sealed('"format":1,"kind":"api_keys"}'), "line 1: the header says that it holds 'api_keys'"),
        (sealed(f'"format":2,"kind":"{KIND}"}}'), "line 1: it was written by a newer version of consignee"),
        (sealed('"format":3,"what":1}'), r"newer version of consignee \(format 3\). Start that version"),
    ],
)
async def test_a_wrong_header_is_refused(tmp_path: Path, header: bytes, message: str) -> None:
    """A store never starts empty over a file that it can't read."""
    file = tmp_path / f"{KIND}.jsonl"
    file.touch(mode=0o600)
    file.write_bytes(header)
    with pytest.raises(StoreUnusable, match=message):
        await read(tmp_path)
    assert file.read_bytes() == header


async def test_a_refused_store_is_let_go(file: Path) -> None:
    """It is not locked, so that it starts once it was mended."""
    whole = file.read_bytes()
    file.write_bytes(b"x" + whole)
    store = JsonFileStore(file.parent)
    with pytest.raises(StoreUnusable):
        await store.open()
    file.write_bytes(whole)
    await store.open()
    assert await store.count(KIND, "a") == 7
    await store.close()
    await asyncio.sleep(0)
