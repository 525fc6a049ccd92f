"""Outcomes are saved and passed on, whatever becomes of the disk, the lease and the storage meanwhile."""

import asyncio
from pathlib import Path

import pytest

from consignee.delivery.result_set import ResultSet
from consignee.errors import CredentialsRejected, ProviderFailure
from consignee.store import Document
from consignee.store.memory import MemoryStore
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing


async def test_an_outcome_that_cannot_be_kept_is_saved_again_until_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent again meanwhile, and it is no crash."""
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d):
            await until(lambda: d.warehouse.under_way["bucket"] == 1)
            store.fail_next["deliveries"] = 1
            d.warehouse.gates["bucket"].set()
            await until(lambda: "could not be kept" in caplog.text)
            await until(lambda: d.has(result_set, "success"))
        delivery = await d.delivery(result_set)
        assert (delivery.attempts, d.sent()) == (1, ["a.txt"])
        assert not [entry for entry in delivery.log if "interrupted" in entry["text"]]


@pytest.mark.parametrize(
    ("fault", "status"),
    [(None, "success"), (passing(), "retrying"), (CredentialsRejected("The key is wrong."), "failed")],
)
async def test_every_outcome_outlasts_a_disk_that_fails_for_a_moment(
    tmp_path: Path, fault: ProviderFailure | None, status: str
) -> None:
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [fault]
        (job,) = await d.parts.queue.claim(1, each=1)
        store.fail_next = {"deliveries": 1, "conditions": 1}
        await d.parts.courier.work(job)
        assert await d.has(result_set, status)


async def test_a_disk_that_goes_on_failing_does_not_hold_up_the_end_of_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one makes another attempt."""
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d, grace=0.01):
            await until(lambda: d.warehouse.under_way["bucket"] == 1)
            store.failing = {"deliveries"}
            d.warehouse.gates["bucket"].set()
            await until(lambda: "could not be kept" in caplog.text)
        await d.parts.courier.close()
        store.failing = set()
        async with d.again() as again:
            await again.work()
            assert await again.has(result_set, "success")
            assert (await again.delivery(result_set)).attempts == 2


class _Slow(MemoryStore):
    """A store that waits before it looks for messages to webhooks."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        if kind == "webhooks":
            self.asked.set()
            await self.gate.wait()
        return await super().get(kind, account, id)


async def test_what_follows_from_an_outcome_does_not_depend_on_the_lease(tmp_path: Path) -> None:
    """With the outcome the lease ends; that the attempt's task is ended for it does not keep the webhook from being told."""
    store = _Slow()
    await store.open()
    async with depot(tmp_path, store=store, lease=0.05) as d:
        one = await d.destination()
        result_set = await d.deliver(await d.collection(one, notification_webhook="https://hook.example/x"))
        d.parts.engine.start()
        async with asyncio.timeout(30):
            await store.asked.wait()
        job = await d.job(result_set)
        await until(lambda: d.parts.courier.progress(job) is None)
        store.gate.set()
        await until(lambda: _is_told(d, result_set))
        await d.parts.engine.stop(0)


async def _is_told(d: Depot, result_set: ResultSet) -> bool:
    return await d.parts.webhooks.status(result_set.account, result_set.id) is not None


async def test_that_a_delivery_failed_is_saved_before_the_storage_is_told_to_forget_its_uploads(tmp_path: Path) -> None:
    """What the storage answers then may be what ends the service."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.slow = asyncio.Event()
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        async with at_work(d):
            await until(lambda: d.has(result_set, "failed"))
        assert d.warehouse.abandoned == []
        d.warehouse.slow.set()
        await until(lambda: len(d.warehouse.abandoned) == 1)
