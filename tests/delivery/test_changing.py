"""Destinations that are changed while something is on its way to them."""

import asyncio
from pathlib import Path

import pytest

from consignee.delivery.conditions import view
from consignee.delivery.result_set import ResultSet
from consignee.errors import CredentialsRejected, KeyTooLong, ProviderFailure
from consignee.providers.memory import MemoryStorage
from delivery.depot import Depot, at_work, depot, until
from delivery.warehouse import CANARY, passing


async def _unfinished(d: Depot) -> ResultSet:
    """A result set whose upload in parts failed and is to be repeated."""
    one = await d.destination(memory_path_prefix="old")
    result_set = await d.deliver(await d.collection(one))
    d.warehouse.in_parts = True
    d.warehouse.faults["bucket"] = [passing()]
    await d.work()
    d.clock.now += 10
    assert (await d.delivery(result_set)).checkpoints
    return result_set


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"memory_secret": "new-secret"}, CredentialsRejected("The key is unknown.")),
        ({"memory_bucket_name": "other"}, passing()),
        ({"memory_path_prefix": "short"}, KeyTooLong("The key is too long.")),
    ],
)
async def test_what_failed_at_the_destination_as_it_was_is_tried_at_once_as_it_is(
    tmp_path: Path, changes: dict[str, str], failure: ProviderFailure
) -> None:
    """It counts neither against the destination, which was tested meanwhile, nor as one of the delivery's failures."""
    async with depot(tmp_path, "other") as d:
        result_set = await d.ready()
        one = result_set.destination_ids[0]
        d.warehouse.gates["a.txt"] = asyncio.Event()
        d.warehouse.late = [failure]
        async with at_work(d):
            await until(lambda: d.warehouse.at_gate)
            if "memory_secret" in changes:
                d.warehouse.memory = MemoryStorage("bucket", secret=changes["memory_secret"])
            await d.destinations.update("ann", one, changes)
            d.warehouse.gates["a.txt"].set()
            await until(lambda: d.at_rest(result_set))
        status, delivery = await d.status(result_set), await d.delivery(result_set)
        assert (status["status"], status["attempts"], delivery.failures) == ("success", 2, 0)
        texts = [entry["text"] for entry in status["log"]]
        assert f"Attempt 1 failed: {failure} The destination was changed meanwhile: once more." in texts
        assert view(d.parts.conditions.of("ann", one))["log"] == []


async def test_a_new_name_alone_excuses_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.gates["a.txt"] = asyncio.Event()
        d.warehouse.late = [CredentialsRejected("The key is unknown.")]
        async with at_work(d):
            await until(lambda: d.warehouse.at_gate)
            await d.destinations.update("ann", result_set.destination_ids[0], {"name": "renamed"})
            d.warehouse.gates["a.txt"].set()
            await until(lambda: d.at_rest(result_set))
        assert await d.has(result_set, "failed")


async def test_a_failure_at_a_destination_that_was_disabled_meanwhile_ends_the_delivery(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.gates["a.txt"] = asyncio.Event()
        d.warehouse.late = [passing()]
        async with at_work(d):
            await until(lambda: d.warehouse.at_gate)
            await d.destinations.update("ann", result_set.destination_ids[0], {"enabled": False})
            d.warehouse.gates["a.txt"].set()
            await until(lambda: d.at_rest(result_set))
        assert await d.has(result_set, "skipped")


async def test_uploads_that_were_begun_under_another_prefix_are_abandoned(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await _unfinished(d)
        await d.destinations.update("ann", result_set.destination_ids[0], {"memory_path_prefix": "new"})
        await d.work()
        assert list(d.warehouse["bucket"]) == ["new/a.txt"]
        await until(lambda: len(d.warehouse.abandoned) == 1)
        assert d.warehouse.abandoned == [("old/a.txt", {"upload": CANARY, "key": "old/a.txt"})]
        assert d.warehouse.resumed == []


async def test_of_uploads_in_a_bucket_that_is_not_known_any_more_the_log_tells(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other bucket is not told to abandon what it knows nothing of."""
    async with depot(tmp_path, "other") as d:
        result_set = await _unfinished(d)
        await d.destinations.update("ann", result_set.destination_ids[0], {"memory_bucket_name": "other"})
        await d.work()
        assert list(d.warehouse["other"]) == ["old/a.txt"]
        job = await d.job(result_set)
        assert f"the unfinished uploads of delivery {job.id} are left behind" in caplog.text
        assert (d.warehouse.abandoned, d.warehouse.resumed) == ([], [])


async def test_uploads_to_a_destination_that_its_owner_disabled_are_abandoned(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await _unfinished(d)
        await d.destinations.update("ann", result_set.destination_ids[0], {"enabled": False})
        await d.work()
        assert await d.has(result_set, "skipped")
        await until(lambda: len(d.warehouse.abandoned) == 1)
        assert d.warehouse.abandoned == [("old/a.txt", {"upload": CANARY, "key": "old/a.txt"})]
        assert not (await d.delivery(result_set)).checkpoints
