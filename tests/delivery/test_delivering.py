"""Result sets from Python, and all the way to a storage service over real sockets."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consignee.errors import InvalidRequest, NotFound
from consignee.opening import open_destinations
from consignee.sections import DeliverySettings, SecretsSettings, StoreSettings
from consignee.service import Destinations
from consignee.settings import Settings
from delivery.depot import depot, until
from fakes.chaos_process import ChaosServer, chaos_process
from providers.opening import loopback


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_file_is_a_path_or_a_name_with_bytes_a_path_or_an_iterator(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_bytes(b"1")
    (tmp_path / "two.bin").write_bytes(b"22")
    async with depot(tmp_path) as d:
        collection = await d.collection(await d.destination())
        result_set = await d.destinations.deliver(
            "ann",
            collection.id,
            files=[
                tmp_path / "one.txt",
                str(tmp_path / "two.bin"),
                ("three", b"333"),
                ("four", tmp_path / "one.txt"),
                ("five", _pieces(b"55", b"", b"555")),
                ("six", b""),
            ],
        )
        assert [one.size for one in result_set.files] == [1, 2, 3, 1, 5, 0]
        await d.work()
        assert d.warehouse["bucket"] == {
            "one.txt": b"1",
            "two.bin": b"22",
            "three": b"333",
            "four": b"1",
            "five": b"55555",
            "six": b"",
        }


async def test_of_an_iterator_that_fails_nothing_is_kept(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("the producer broke")

    async with depot(tmp_path) as d:
        collection = await d.collection(await d.destination())
        with pytest.raises(RuntimeError, match="the producer broke"):
            await d.destinations.deliver("ann", collection.id, files=[("a", b"1"), ("b", failing())])
        assert await d.parts.results.kept("ann", collection.id) == []
        assert list((tmp_path / "spool").rglob("*/*")) == []
        assert (await d.deliver(collection)).number == 1


@pytest.mark.parametrize("name", ["", "..", "a/b", "_manifest.json", "a\x00b"])
async def test_of_a_set_with_a_bad_name_nothing_is_kept(tmp_path: Path, name: str) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection(manifest=True)
        with pytest.raises(InvalidRequest):
            await d.destinations.deliver("ann", collection.id, files=[("a", b"1"), (name, b"2")])
        assert await d.parts.spool.tokens() == []


async def test_files_that_are_not_there_and_collections_of_others_are_refused(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        with pytest.raises(FileNotFoundError):
            await d.destinations.deliver("ann", collection.id, files=[tmp_path / "absent"])
        with pytest.raises(NotFound):
            await d.destinations.deliver("bob", collection.id, files=[("a", b"1")])
        assert await d.parts.spool.tokens() == []


@pytest.fixture(scope="module")
def chaos() -> Iterator[ChaosServer]:
    """An S3 server that checks signatures, and fails as it is told."""
    with chaos_process("bucket", keep=True) as server:
        yield server


def _settings(place: Path) -> Settings:
    return replace(
        loopback(),
        store=StoreSettings(path=str(place / "store")),
        secrets=SecretsSettings(key_file=str(place / "secret.key")),
        delivery=DeliverySettings(
            retries=("1s",) * 10, jitter=0.9, breaker=1000, part_threshold=5 * 2**20, part_size=5 * 2**20
        ),
    )


async def _destination(destinations: Destinations, server: ChaosServer) -> str:
    made = await destinations.create(
        "ann",
        {
            "type": "s3compatible",
            "name": "Chaos",
            "enabled": True,
            "s3_access_key_id": server.key_id,
            "s3_secret_access_key": server.secret,
            "s3_bucket_name": "bucket",
            "s3_endpoint": server.url,
            "s3_region": server.region,
            "s3_path_prefix": "x/%RESULT_SET_ID%",
        },
    )
    return made.id


async def test_everything_arrives_whole_although_the_storage_fails_now_and_then(
    tmp_path: Path, chaos: ChaosServer
) -> None:
    """Small files and one in parts; faults before, during and after the storage has taken what it was sent.

    Only the answer to the beginning of an upload is spared: who never hears an upload's name can't have it forgotten.
    """
    files = {f"{number}.bin": bytes([number]) * 5000 for number in range(6)} | {"large.bin": bytes(range(256)) * 45056}
    async with open_destinations(_settings(tmp_path)) as destinations:
        one = await _destination(destinations, chaos)
        collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [one]})
        spared = ["put", "part", "complete", "abort"]
        chaos.set_faults(drop=0.08, error500=0.08, error503=0.08, cut=0.08, error_after=0.08, on=spared)
        result_sets = [await destinations.deliver("ann", collection.id, list(files.items())) for _ in range(2)]

        async def calm() -> bool:
            jobs = [await destinations.dispatch.deliveries.of("ann", each.id) for each in result_sets]
            states = [job[one].data["status"] for job in jobs]
            if any(job[one].data["failures"] >= 3 for job in jobs):
                chaos.set_faults()  # the schedule is not what is tried here
            return states == ["success"] * 2

        await until(calm)
    objects = chaos.state().objects
    for result_set in result_sets:
        for name, content in files.items():
            stored = objects[f"bucket/x/{result_set.number}/{name}"]
            assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert list(chaos.state().uploads) == []
    assert chaos.state().faults


async def test_a_storage_that_takes_no_connection_is_tried_again_and_one_that_refuses_is_not(
    tmp_path: Path, chaos: ChaosServer
) -> None:
    async with open_destinations(_settings(tmp_path)) as destinations:
        chaos.set_faults()
        one = await _destination(destinations, chaos)
        collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [one]})
        chaos.set_faults(refuse=1.0, on=["put"])
        result_set = await destinations.deliver("ann", collection.id, [("a", b"1")])

        async def rests() -> bool:
            return not await destinations.dispatch.deliveries.unfinished("ann", result_set.id)

        await until(rests)
        view = (await destinations.dispatch.view_of(result_set))["destination_status"][one]
        assert (view["status"], view["code"], view["attempts"]) == ("failed", "access_denied", 1)
        chaos.kill()
        await destinations.dispatch.deliveries.resend(result_set, [one])

        async def retrying() -> bool:
            found = await destinations.dispatch.view_of(result_set)
            return bool(found["destination_status"][one]["code"] == "endpoint_unreachable")

        await until(retrying)
        chaos.start()
        chaos.set_faults()
        await until(rests)
        view = (await destinations.dispatch.view_of(result_set))["destination_status"][one]
        assert view["status"] == "success"


async def test_a_file_of_ours_that_is_gone_is_not_blamed_on_the_connection(tmp_path: Path, chaos: ChaosServer) -> None:
    """The HTTP client tells of it as of any other fault while it sends."""
    async with open_destinations(_settings(tmp_path)) as destinations:
        chaos.set_faults()
        one = await _destination(destinations, chaos)
        collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [one]})
        chaos.set_faults(error500=1.0)
        result_set = await destinations.deliver("ann", collection.id, [("a", b"1")])

        async def is_coded(code: str) -> bool:
            found = await destinations.dispatch.view_of(result_set)
            return bool(found["destination_status"][one]["code"] == code)

        await until(lambda: is_coded("provider_error"))
        (tmp_path / "store" / "spool" / "kept" / result_set.token / "0").unlink()
        await until(lambda: is_coded("unavailable"))
        assert destinations.dispatch.conditions.of("ann", one).failures >= 1
