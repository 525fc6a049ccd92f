"""A service that keeps the files of result sets in a bucket: what one process accepts, another delivers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from balky import fields
from canaries import OSS_SECRET, SEALING_KEY
from consignee.delivery.claiming import STAGED
from consignee.errors import StoreError, StoreUnusable
from consignee.opening import open_destinations
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.service import Destinations
from consignee.settings import SecretsSettings, Settings, StagingSettings, StoreSettings
from consignee.testing.opening import ended
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from sharing import SharedMemoryStore

BUCKET, KEY_ID = "stage-bucket", "LTAI5tStage"
FILES = {"small.txt": b"small", "empty": b"", "large.bin": bytes(range(256)) * 40_000}
"""Of two pieces."""


@pytest.fixture
async def oss() -> AsyncIterator[Oss]:
    """A strict server for the staging bucket."""
    users = {KEY_ID: User(OSS_SECRET), "LTAI5tBlind": User("blind-secret", may_get=False)}
    async with oss_server(users, {BUCKET: "cn-hangzhou", "another": "cn-hangzhou"}, path_style=True) as server:
        yield server


@pytest.fixture
async def store() -> AsyncIterator[SharedMemoryStore]:
    """The store that all processes have."""
    made = SharedMemoryStore()
    await made.open()
    yield made
    await made.close()


DIRECTORY = {"type": "", "oss_bucket_name": ""}
"""The settings of a process that keeps the files in a directory."""


class House:
    """Processes with one store and one staging bucket; customers' buckets are in memory."""

    def __init__(self, oss: Oss, store: SharedMemoryStore, place: Path) -> None:
        self.storage = MemoryStorage("bucket")
        self.store = store
        self.place = place
        own: dict[str, Any] = {
            "oss_bucket_name": BUCKET,
            "oss_region_id": "oss-cn-hangzhou",
            "oss_access_key": Secret(KEY_ID),
        }
        own |= {"oss_secret_key": Secret(OSS_SECRET), "endpoint_url": oss.url, "prefix": "kept/here"}
        self.staging = StagingSettings(type="oss", **own)

    def process(
        self, changed: Mapping[str, Any] = MappingProxyType({}), *, delivers: bool = True
    ) -> AbstractAsyncContextManager[Destinations]:
        """Open the service as another process would, with some settings of the bucket changed."""
        settings = replace(
            Settings(),
            store=StoreSettings(path=str(self.place)),
            secrets=SecretsSettings(key=Secret(SEALING_KEY.hex())),
            staging=replace(self.staging, **changed),
        )
        return open_destinations(
            settings, store=self.store.another(), providers=[self.storage.provider], delivers=delivers
        )


@pytest.fixture
def house(oss: Oss, store: SharedMemoryStore, tmp_path: Path) -> House:
    """The processes, none of them open."""
    return House(oss, store, tmp_path / "var")


async def accepted(destinations: Destinations) -> str:
    """Take in a result set for a new collection, and return the collection's id."""
    one = await destinations.create("ann", fields("bucket", memory_path_prefix="to/"))
    collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [one.id]})
    await destinations.deliver("ann", collection.id, FILES.items())
    return collection.id


async def test_what_one_process_accepts_another_delivers(house: House, oss: Oss) -> None:
    """Byte for byte, without a directory; many files are few objects, and the note of it is gone."""
    async with house.process(delivers=False) as server:
        collection = await accepted(server)
    assert house.storage.buckets["bucket"] == {}
    (token,) = {key.split("/")[2] for key in oss.objects[BUCKET]}
    assert sorted(oss.objects[BUCKET]) == [f"kept/here/{token}/{number}" for number in range(2)]
    assert await house.store.ids("stagings", "") == []
    async with house.process() as worker:
        assert set((await ended(worker, "ann", collection)).values()) == {"success"}
    assert house.storage.buckets["bucket"] == {f"to/{name}": content for name, content in FILES.items()}
    assert not house.place.exists()


async def test_files_are_gone_from_the_bucket_with_their_collection(house: House, oss: Oss) -> None:
    async with house.process() as server:
        collection = await accepted(server)
        await ended(server, "ann", collection)
        await server.dispatch.collections.delete("ann", collection)
    assert oss.objects[BUCKET] == {}


async def test_a_collection_whose_files_can_not_be_removed_now_leaves_none_behind(house: House, oss: Oss) -> None:
    """Their documents stay until they can be: nothing else tells where the files are."""
    async with house.process() as server:
        collection = await accepted(server)
        await ended(server, "ann", collection)
        oss.switches.no_delete = True
        await server.dispatch.collections.delete("ann", collection)
        assert len(await house.store.ids("result_sets", "ann")) == 1
        assert len(oss.objects[BUCKET]) == 2
        oss.switches.no_delete = False
        await server.dispatch.results.tidy()
    assert oss.objects[BUCKET] == {}


async def test_a_staging_bucket_that_refuses_is_no_fault_of_a_customers_destination(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """What was accepted is tried again by the schedule; the operator is told what to do, and no key of theirs."""
    async with house.process(delivers=False) as server:
        collection = await accepted(server)
    blind = {"oss_access_key": Secret("LTAI5tBlind"), "oss_secret_key": Secret("blind-secret")}
    async with house.process(blind) as worker:
        async with asyncio.timeout(20):
            while "could not be attempted" not in caplog.text:
                await asyncio.sleep(0.01)
        view = await worker.dispatch.view("ann", collection, 1)
        assert [one["status"] for one in view["destination_status"].values()] == ["retrying"]
        (destination,) = await worker.store.list("destinations", "ann")
        assert (await worker.dispatch.conditions.look("ann", destination.id)).failures == 0
    assert "the staging bucket failed" in caplog.text
    assert "AccessDenied" in caplog.text
    assert "LTAI5tBlind" not in caplog.text
    assert "blind-secret" not in caplog.text


async def test_a_wrong_secret_is_told_at_the_first_result_set_without_any_secret(
    house: House, oss: Oss, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.process({"oss_secret_key": Secret("wrong-secret-of-ours")}) as server:
        with pytest.raises(StoreError, match="credentials_rejected") as failed:
            await accepted(server)
    told = f"{failed.value!r} {caplog.text}"
    assert "wrong-secret-of-ours" not in told
    assert KEY_ID not in told
    assert oss.objects.get(BUCKET, {}) == {}


async def test_a_store_with_result_sets_is_not_opened_without_their_files(house: House) -> None:
    """Neither with another bucket, nor with a directory; as long as there is none it may move."""
    async with house.process():
        kept = await house.store.get("spools", "", "own")
        assert kept is not None
        assert kept.data["id"].startswith(STAGED)
    async with house.process(DIRECTORY):
        kept = await house.store.get("spools", "", "own")
        assert kept is not None
        assert not kept.data["id"].startswith(STAGED)
    async with house.process() as server:
        await accepted(server)
    for changed in ({"oss_bucket_name": "another"}, {"prefix": "elsewhere"}, DIRECTORY):
        with pytest.raises(StoreUnusable, match="staging bucket"):
            await house.process(changed).__aenter__()
    async with house.process(delivers=False):
        pass


async def test_a_store_whose_files_are_in_a_directory_is_not_opened_with_a_bucket(house: House) -> None:
    async with house.process(DIRECTORY) as server:
        await accepted(server)
    with pytest.raises(StoreUnusable, match="the files of this store are in a directory"):
        await house.process().__aenter__()


async def test_a_directory_on_another_machine_is_not_taken_for_the_one_that_has_the_files(
    house: House, tmp_path: Path
) -> None:
    """What was accepted would be tried in vain until it is given up; told how, who has lost them can go on without."""
    async with house.process(DIRECTORY, delivers=False) as server:
        await server.dispatch.collections.delete("ann", await accepted(server))
    house.place = tmp_path / "second"
    async with house.process(DIRECTORY, delivers=False) as server:
        await accepted(server)
    house.place = tmp_path / "third"
    with pytest.raises(StoreUnusable, match=r"not in .*third.*: start this where they are") as refused:
        async with house.process(DIRECTORY):
            pass
    owner = house.place / "spool" / "owner"
    owner.touch(0o600)
    owner.write_text(str(refused.value).split()[-1] + "\n")
    async with house.process(DIRECTORY):
        pass


async def test_of_two_processes_with_two_buckets_on_a_new_store_the_first_one_accepts_nothing(
    house: House, oss: Oss
) -> None:
    """Neither could deliver what the other one accepts."""
    async with house.process(delivers=False) as first, house.process({"prefix": "else/where"}) as second:
        with pytest.raises(StoreError, match="keep theirs elsewhere"):
            await accepted(first)
        assert await first.store.accounts("result_sets") == []
        await accepted(second)
        with pytest.raises(StoreError, match="keep theirs elsewhere"):
            await accepted(first)
