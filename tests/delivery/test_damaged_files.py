"""A file of the spool that is not what was taken in any more never arrives as if it were."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from consignee.body import CHUNK_BYTES, FileBody
from consignee.delivery.conditions import view
from consignee.demo.storage import StorageServer
from consignee.errors import FileDamaged, StoreUnusable
from consignee.providers import s3
from consignee.providers.base import Checkpoint
from consignee.store.json_file import JsonFileStore
from consignee.transport import Parts
from delivery.depot import Depot, depot
from delivery.spooling import content, kept, opened
from providers.google_place import DATA, broken_off, opened_place
from providers.opening import S3_FIELDS, loopback
from providers.opening import opened as opened_bucket
from providers.test_s3_contract import unfinished

FLIPS = int(os.environ.get("FLIPS", "20"))
"""How many bits of each file are turned over, one at a time."""


def flip(path: Path, place: int, bit: int) -> None:
    """Turn one bit of a file over."""
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged)


def spooled(d: Depot, number: int) -> Path:
    """Return where the file of that number lies."""
    (path,) = (d.place / "spool" / "kept").glob(f"*/{number}")
    return path


async def test_every_flipped_bit_of_a_spooled_file_is_noticed(tmp_path: Path) -> None:
    dice = random.Random(20260131)
    spool = await opened(tmp_path / "spool")
    sizes = (1, 1000, CHUNK_BYTES, CHUNK_BYTES * 2 + 5)
    token, files = await kept(spool, [(str(size), dice.randbytes(size)) for size in sizes])
    for number, file in enumerate(files):
        path = tmp_path / "spool" / "kept" / token / str(number)
        for _ in range(FLIPS):
            place, bit = dice.randrange(file.size), dice.randrange(8)
            flip(path, place, bit)
            with pytest.raises(FileDamaged):
                await content(spool, token, number, file)
            flip(path, place, bit)
        assert hashlib.sha256(await content(spool, token, number, file)).hexdigest() == file.sha256
    await spool.close()
    print(f"{FLIPS * len(files)} bits of {len(files)} spooled files, all noticed when they were read")  # noqa: T201


async def test_every_flipped_bit_of_a_services_store_stops_its_start(tmp_path: Path) -> None:
    """Whatever kind of document it is in; what was refused is not touched."""
    dice, directory = random.Random(20260131), tmp_path / "documents"
    store = JsonFileStore(directory)
    await store.open()
    async with depot(tmp_path / "depot", store=store) as d:
        await d.ready("one", "two", files={"a": b"a", "b": b"b"})
        await d.work()
    await store.close()
    paths = sorted(directory.glob("*.jsonl"))
    assert {"deliveries", "destinations", "collections", "result_sets"} <= {path.stem for path in paths}
    for path in paths * FLIPS:
        place, bit = dice.randrange(path.stat().st_size), dice.randrange(8)
        flip(path, place, bit)
        with pytest.raises(StoreUnusable, match=f"{path.name}, line [0-9]+: "):
            await JsonFileStore(directory).open()
        flip(path, place, bit)
    await store.open()
    await store.close()
    print(f"{FLIPS * len(paths)} bits of {len(paths)} files of a store, all noticed at its start")  # noqa: T201


@pytest.mark.parametrize("shorter", [False, True])
async def test_the_delivery_of_a_damaged_file_fails_for_good_and_says_why(tmp_path: Path, *, shorter: bool) -> None:
    """The others of its result set arrive, and the destination is not blamed."""
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"sound", "b": b"rotten" * 100})
        path = spooled(d, 1)
        path.write_bytes(path.read_bytes()[:-1]) if shorter else flip(path, 77, 3)
        await d.work()
        status = await d.status(result_set)
        assert (status["status"], status["code"], status["attempts"]) == ("failed", "file_damaged", 1)
        assert f"on this service's disk{'.' if shorter else ':'}" in status["log"][-1]["text"]
        assert FileDamaged.hint in status["log"][-1]["text"]
        assert [key.rpartition("/")[2] for key in d.warehouse["bucket"]] == ["a"]
        assert view(d.parts.conditions.of("ann", result_set.destination_ids[0]))["state"] == "ok"


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_file_that_rots_is_not_put_together_of_its_parts(
    swift: StorageServer, tmp_path: Path, *, resumed: bool
) -> None:
    """Though each part had the digest of what was read for it; also if all parts had arrived before."""
    sound = random.Random(5).randbytes(5 * 65_536)
    path, parts = tmp_path / "file", Parts(threshold=65_536, size=65_536, at_once=2)
    path.write_bytes(sound)
    body = FileBody(path, len(sound), hashlib.md5(sound).digest(), hashlib.sha256(sound).digest())
    listed, checkpoint = unfinished(swift, "test:tester", "demo-bucket"), Checkpoint()
    async with opened_bucket(s3.PROVIDER, S3_FIELDS, loopback(s3=swift.url), parts=parts) as bucket:
        assert isinstance(bucket, s3.AmazonBucket)
        if resumed:
            upload = await bucket.begin("rotten")
            tags = {
                str(n): await bucket.send_part("rotten", upload, n, await body.part((n - 1) * 65_536, 65_536))
                for n in (1, 2, 3, 4, 5)
            }
            await checkpoint.save(
                {"upload": upload, "key": "rotten", "sha256": body.sha256.hex(), "size": 65_536, "tags": tags}
            )
        flip(path, 3 * 65_536, 0)
        with pytest.raises(FileDamaged):
            await bucket.put("rotten", body, checkpoint if resumed else None)
        assert await listed() == (["rotten"] if resumed else [])
        await bucket.abandon("rotten", checkpoint.state)
        assert await listed() == []


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_file_that_rots_is_not_blamed_on_google(tmp_path: Path, *, resumed: bool) -> None:
    """Its pieces bear no digest, and the storage finds at the end that the whole is another: no object is made of it."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    body = FileBody(path, len(DATA), hashlib.md5(DATA).digest(), hashlib.sha256(DATA).digest())
    async with opened_place() as place:
        checkpoint = await broken_off(place) if resumed else Checkpoint()
        flip(path, 3 * len(DATA) // 4, 0)
        with pytest.raises(FileDamaged):
            await place.bucket.put("large", body, checkpoint)
        assert (place.objects, place.google.sessions.unfinished(), checkpoint.state) == ({}, [], {})
