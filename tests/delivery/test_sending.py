"""How the files of one delivery are sent."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from consignee.delivery.sending import Places
from consignee.queue import Job
from consignee.store.json_file import JsonFileStore
from delivery.depot import at_work, depot, until
from delivery.warehouse import Warehouse, passing

THREE = {"a": b"first", "b": b"second", "c": b"third"}


async def test_all_files_arrive_under_their_keys(tmp_path: Path) -> None:
    async with depot(tmp_path, "bucket") as d:
        one = await d.destination(memory_path_prefix="x/%COLLECTION_NAME%/%DATE%/%RESULT_SET_ID%")
        result_set = await d.deliver(await d.collection(one), THREE, times={"ended_at": "2025-12-31T23:59:59-05:00"})
        await d.work()
        assert d.warehouse["bucket"] == {f"x/Shop/2026_01_01/1/{name}": text for name, text in THREE.items()}
        status = await d.status(result_set)
        assert (status["status"], status["files_done"], status["bytes_done"]) == ("success", 3, 16)


async def test_what_arrived_is_not_sent_again_after_a_failure(tmp_path: Path) -> None:
    async with depot(tmp_path, per_destination=1) as d:
        result_set = await d.ready(files=THREE)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        assert (await d.status(result_set))["files_done"] == 1
        d.clock.now += 10
        await d.work()
        assert d.sent() == ["a", "b", "b", "c"]
        assert (await d.status(result_set))["bytes_done"] == 16


async def test_a_file_does_not_wait_for_a_slow_one_before_it_once_there_is_a_place(tmp_path: Path) -> None:
    """Not even if all places were taken when the delivery began."""
    async with depot(tmp_path, per_destination=2) as d:
        one = await d.destination()
        collection = await d.collection(one)
        for name in ("1", "2", "slow"):
            d.warehouse.gates[name] = asyncio.Event()
        await d.deliver(collection, {"1": b"", "2": b""})
        async with at_work(d):
            await until(lambda: len(d.sent()) == 2)
            late = await d.deliver(collection, {"slow": b"", "next": b"", "last": b""})
            lanes = d.parts.courier._places._lanes
            await until(lambda: any(lane._waiters for lane in lanes.values()))
            for name in ("1", "2"):
                d.warehouse.gates[name].set()
            await until(lambda: {"next", "last"} <= d.warehouse["bucket"].keys())
            assert "slow" not in d.warehouse["bucket"]
            d.warehouse.gates["slow"].set()
            await until(lambda: d.at_rest(late))


async def test_what_arrived_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    warehouse = Warehouse()
    for faults in ([None, passing()], []):
        store = JsonFileStore(tmp_path / "store")
        await store.open()
        async with depot(tmp_path, store=store, warehouse=warehouse, per_destination=1) as d:
            if faults:
                result_set = await d.ready(files=THREE)
            warehouse.faults["bucket"] = list(faults)
            d.clock.now += 10 if not faults else 0
            await d.work()
            status = (await d.delivery(result_set)).status
        await store.close()
    assert (status, d.sent()) == ("success", ["a", "b", "b", "c"])


async def test_a_destination_that_leads_elsewhere_now_gets_all_files_there(tmp_path: Path) -> None:
    async with depot(tmp_path, "bucket", "other", per_destination=1) as d:
        result_set = await d.ready(files=THREE)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        await d.destinations.update("ann", result_set.destination_ids[0], {"memory_bucket_name": "other"})
        d.clock.now += 10
        await d.work()
        assert d.warehouse["other"] == THREE
        assert (await d.status(result_set))["files_done"] == 3


async def test_new_credentials_alone_are_no_reason_to_send_again(tmp_path: Path) -> None:
    async with depot(tmp_path, per_destination=1) as d:
        result_set = await d.ready(files=THREE)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        await d.destinations.update("ann", result_set.destination_ids[0], {"name": "renamed", "enabled": True})
        d.warehouse.puts.clear()
        d.clock.now += 10
        await d.work()
        assert d.sent() == ["b", "c"]


async def test_keys_stay_as_they_were_when_the_result_set_ended(tmp_path: Path) -> None:
    """Neither a day that passes nor a collection's new name moves what a later attempt writes."""
    async with depot(tmp_path) as d:
        one = await d.destination(memory_path_prefix="%COLLECTION_NAME%/%DATE%")
        collection = await d.collection(one)
        await d.deliver(collection)
        d.warehouse.faults["bucket"] = [passing()]
        await d.work()
        await d.parts.collections.update("ann", collection.id, {"name": "Another"})
        d.clock.now += 86400 * 2
        await d.work()
        assert d.sent() == ["Shop/2026_01_02/a.txt"] * 2
        await d.deliver(await d.parts.collections.get("ann", collection.id))
        await d.work()
        assert d.sent()[2:] == ["Another/2026_01_04/a.txt"]


async def test_the_manifest_is_written_last_and_lists_all_files(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready(files=THREE, manifest=True)
        d.warehouse.faults["bucket"] = [None, None, passing()]
        await d.work()
        assert "_manifest.json" not in d.sent()
        d.clock.now += 10
        await d.work()
        assert d.sent()[-1] == "_manifest.json"
        manifest = json.loads(d.warehouse["bucket"]["_manifest.json"])
        assert manifest["result_set"]["id"] == 1
        assert manifest["collection"] == {"id": result_set.collection_id, "name": "Shop"}
        assert manifest["files"] == [
            {"name": name, "size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
            for name, text in THREE.items()
        ]
        status = await d.status(result_set)
        assert (status["files_total"], status["files_done"]) == (4, 4)


async def test_a_manifest_that_failed_is_sent_again_alone(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await d.ready(files={"a": b"1"}, manifest=True)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        d.clock.now += 10
        await d.work()
        assert d.sent() == ["a", "_manifest.json", "_manifest.json"]


async def test_progress_grows_while_an_upload_is_under_way_and_never_exceeds_the_total(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"a" * 1000, "b": b"b" * 500})
        d.warehouse.gates["bucket"] = asyncio.Event()
        seen: list[dict[str, Any]] = []

        async def complete() -> bool:
            seen.append(await d.status(result_set))
            return bool(seen[-1]["status"] == "success")

        async def half() -> bool:
            return bool((await d.status(result_set))["bytes_done"] == 750)

        async with at_work(d):
            await until(lambda: d.warehouse.under_way["bucket"] == 2)
            await until(half)
            await complete()
            d.warehouse.gates["bucket"].set()
            await until(complete)
        assert (seen[0]["status"], seen[0]["bytes_done"], seen[0]["files_done"]) == ("uploading", 750, 0)
        numbers = [one["bytes_done"] for one in seen]
        assert numbers == sorted(numbers) and numbers[-1] == 1500


async def test_what_is_sent_again_within_an_upload_counts_once(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"a" * 1000})
        d.warehouse.gates["bucket"], d.warehouse.in_vain = asyncio.Event(), 3
        async with at_work(d):
            await until(lambda: d.warehouse.under_way["bucket"] == 1)

            async def full() -> bool:
                done = (await d.status(result_set))["bytes_done"]
                assert done <= 1000
                return bool(done == 1000)

            await until(full)
            d.warehouse.gates["bucket"].set()
            await until(lambda: d.at_rest(result_set))
        assert (await d.status(result_set))["bytes_done"] == 1000


async def test_what_has_arrived_is_durable_before_the_attempt_ends(tmp_path: Path) -> None:
    async with depot(tmp_path, per_destination=1) as d:
        result_set = await d.ready(files=THREE)
        d.warehouse.gates["c"] = asyncio.Event()

        async def kept() -> bool:
            return bool((await d.delivery(result_set)).sent_up_to == 2)

        async with at_work(d):
            await until(kept)
            assert d.sent() == ["a", "b", "c"]
            d.warehouse.gates["c"].set()
            await until(lambda: d.at_rest(result_set))


async def test_no_more_than_so_many_uploads_at_once_to_one_destination_and_in_all(tmp_path: Path) -> None:
    """Whatever waits: many result sets, many files, many destinations."""
    async with depot(tmp_path, concurrency=6, per_destination=4) as d:
        names = ["one", "two", "three"]
        files = {f"{n}": b"x" for n in range(9)}
        result_sets = []
        for account, name in zip(("ann", "ann", "bob"), names, strict=True):
            collection = await d.collection(await d.destination(name, account=account), account=account)
            result_sets += [await d.deliver(collection, files) for _ in range(5)]
        d.warehouse.gates = dict.fromkeys(names, asyncio.Event())
        async with at_work(d):
            await until(lambda: d.warehouse.under_way.total() == 6)
            d.warehouse.gates["one"].set()
            await until(lambda: d.at_rest(*result_sets))
        assert max(d.warehouse.most.values()) <= 4
        assert d.warehouse.most_in_all == 6
        assert [len(d.sent(name)) for name in names] == [45, 45, 45]


async def test_one_account_leaves_places_for_uploads_to_others() -> None:
    """Three quarters of them are all that it gets, however many deliveries to however slow storage it has."""
    places = Places(4, each=4)
    held: list[str] = []
    go_on = asyncio.Event()

    async def hold(account: str, lane: str) -> None:
        async with places.place(Job(account=account, id="1", lane=lane, data={})):
            held.append(account)
            await go_on.wait()

    async with asyncio.TaskGroup() as group:
        for lane in range(8):
            group.create_task(hold("ann", str(lane)))
        await until(lambda: held == ["ann"] * 3)
        group.create_task(hold("bob", "0"))
        await until(lambda: held == [*["ann"] * 3, "bob"])
        go_on.set()
    assert sorted(held) == [*["ann"] * 8, "bob"]


async def test_where_there_is_one_place_everybody_may_have_it(tmp_path: Path) -> None:
    async with depot(tmp_path, concurrency=1) as d:
        result_set = await d.ready(files=THREE)
        await d.work()
        assert await d.has(result_set, "success")
