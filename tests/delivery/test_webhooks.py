"""Messages to customers' webhooks: when they are sent, repeated, and not sent again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from canaries import WEBHOOK_TOKEN
from consignee.collection import WEBHOOK_SECRET, Collection
from consignee.delivery.result_set import ResultSet
from consignee.errors import CredentialsRejected, NotFound
from consignee.queue import AT_ONCE
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing


@dataclass
class Receiver:
    """Keeps what it is sent; answers with the next of `answers`, 204 when there are no more."""

    url: str = ""
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer."""
        self.seen.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    @property
    def ids(self) -> list[str]:
        """The ids of the messages, in their order."""
        return [headers["webhook-id"] for headers, _ in self.seen]

    def content(self, number: int = -1) -> dict[str, Any]:
        """Return one message."""
        return dict(json.loads(self.seen[number][1]))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A webhook on a real socket."""
    made, app = Receiver(), web.Application()
    app.router.add_post("/hook", made.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        made.url = f"http://127.0.0.1:{server.port}/hook?token={WEBHOOK_TOKEN}"
        yield made


async def _collection(d: Depot, receiver: Receiver, *buckets: str) -> Collection:
    ids = [await d.destination(bucket) for bucket in buckets]
    return await d.collection(*ids, notification_webhook=receiver.url)


async def _status(d: Depot, result_set: ResultSet) -> dict[str, Any]:
    return dict((await d.parts.dispatch.view_of(result_set))["webhook_status"])


async def test_it_is_told_once_when_every_delivery_has_ended(tmp_path: Path, receiver: Receiver) -> None:
    """Also when some failed or were skipped; signed by the Standard Webhooks specification."""
    async with depot(tmp_path) as d:
        d.clock.now = float(int(time.time()))  # the verification insists on the time of day
        collection = await _collection(d, receiver, "good", "bad", "slow")
        disabled = await d.destination("off", enabled=False)
        ids = [*collection.destination_ids, disabled]
        collection = await d.parts.collections.update("ann", collection.id, {"destination_ids": ids})
        d.warehouse.broken["bad"] = CredentialsRejected("No.")
        d.warehouse.faults["slow"] = [passing()]
        result_set = await d.deliver(collection)
        await d.work()
        assert await d.tell() == 0
        assert (await d.parts.dispatch.view_of(result_set))["webhook_status"] is None
        d.clock.now += 10
        await d.work()
        assert await d.tell() == 1
        headers, body = receiver.seen[0]
        secret = collection.secrets[WEBHOOK_SECRET].reveal()
        content = Webhook(secret).verify(body.decode(), headers)
        assert content["collection"] == {"id": collection.id, "name": "Shop"}
        assert content["request_info"] == {"success": True, "type": "collection_resultset_completed"}
        statuses = content["result_set"]["destination_status"]
        assert [statuses[one]["status"] for one in ids] == ["success", "failed", "success", "skipped"]
        status = await _status(d, result_set)
        assert (status["status"], status["attempts"], status["next_attempt_at"]) == ("success", 1, None)
        assert [entry["text"] for entry in status["log"]] == ["Waiting to be sent.", "Sent, answered with 204."]


async def test_deliveries_that_end_together_are_told_of_once(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        collection = await _collection(d, receiver, *[f"b{number}" for number in range(12)])
        result_sets = [await d.deliver(collection) for _ in range(4)]
        async with at_work(d):
            await until(lambda: len(receiver.seen) >= 4)
            await until(lambda: d.at_rest(*result_sets))
        await d.tell()
        assert sorted(receiver.ids) == [f"msg_{collection.id}_{number}_1" for number in range(1, 5)]


async def test_a_result_set_for_nobody_is_complete_at_once(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        await d.deliver(await _collection(d, receiver))
        assert await d.tell() == 1
        assert receiver.content()["result_set"]["destination_status"] == {}


async def test_a_refusal_is_repeated_by_the_schedule_under_the_same_id(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.deliver(await _collection(d, receiver))
        receiver.answers = [
            web.Response(status=500),
            web.Response(status=429, headers={"Retry-After": "100"}),
            web.Response(status=404),
        ]
        for wait in (10, 100, 300):
            assert await d.tell() == 1
            status = await _status(d, result_set)
            assert (status["status"], status["code"]) == ("retrying", "webhook_refused")
            d.clock.now += wait - 1
            assert await d.tell() == 0
            d.clock.now += 1
        assert await d.tell() == 1
        assert len(set(receiver.ids)) == 1 and len(receiver.seen) == 4
        status = await _status(d, result_set)
        assert (status["status"], status["attempts"]) == ("success", 4)
        assert "Attempt 1 failed: webhook_refused, status 500. Next attempt in 10 s." in str(status["log"])


async def test_after_the_last_refusal_it_has_failed_and_can_be_resent(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path, retries=("1s",)) as d:
        collection = await _collection(d, receiver)
        result_set = await d.deliver(collection)
        receiver.answers = [web.Response(status=500), web.Response(status=500)]
        await d.tell()
        d.clock.now += 1
        await d.tell()
        assert (await _status(d, result_set))["status"] == "failed"
        await d.parts.webhooks.resend("ann", collection.id, 1)
        await d.tell()
        assert (await _status(d, result_set))["status"] == "success"
        assert len(set(receiver.ids)) == 1
        with pytest.raises(NotFound):
            await d.parts.webhooks.resend("ann", collection.id, 2)


async def test_a_webhook_that_is_gone_is_not_asked_again(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.deliver(await _collection(d, receiver))
        receiver.answers = [web.Response(status=410)]
        await d.tell()
        assert (await _status(d, result_set))["status"] == "failed"


async def test_a_resend_of_deliveries_is_told_of_under_a_new_id(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        collection = await _collection(d, receiver, "bucket")
        result_set = await d.deliver(collection)
        await d.work()
        await d.tell()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        await d.work()
        assert await d.tell() == 1
        assert receiver.ids == [f"msg_{collection.id}_1_1", f"msg_{collection.id}_1_2"]


async def test_a_restart_repeats_nothing_that_was_told(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        await d.deliver(await _collection(d, receiver, "bucket"))
        await d.work()
        await d.tell()
        async with d.again() as again:
            assert await again.tell() == 0
        assert len(receiver.seen) == 1


async def test_what_could_not_be_planned_is_told_at_the_next_start(tmp_path: Path, receiver: Receiver) -> None:
    """As if the process had ended after the last delivery, before the message was saved."""
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        await d.deliver(await _collection(d, receiver))
        await d.tell()
        store.failing = {"webhooks"}
        await d.deliver((await d.parts.collections.list("ann"))[0])
        store.failing = set()
        assert await d.tell() == 0
        async with d.again() as again:
            assert await again.tell() == 1
        assert receiver.content()["result_set"]["id"] == 2


async def test_a_webhook_that_comes_later_is_not_told_of_what_was_before(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        await d.deliver(collection)
        await d.parts.collections.update("ann", collection.id, {"notification_webhook": receiver.url})
        async with d.again() as again:
            assert await again.tell() == 0


async def test_a_webhook_that_was_removed_meanwhile_is_skipped(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        collection = await _collection(d, receiver)
        result_set = await d.deliver(collection)
        await d.parts.collections.update("ann", collection.id, {"notification_webhook": ""})
        await d.tell()
        assert (await _status(d, result_set))["status"] == "skipped"
        assert receiver.seen == []


async def test_a_deleted_collection_ends_its_messages(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        collection = await _collection(d, receiver)
        await d.deliver(collection)
        await d.parts.collections.delete("ann", collection.id)
        assert await d.tell() == 0
        assert await d.parts.messages.list("ann") == []


async def test_a_call_that_does_not_end_in_time_is_given_back_unharmed(tmp_path: Path) -> None:
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await let_go.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hang)
    async with TestServer(app, host="127.0.0.1") as server, depot(tmp_path) as d:
        collection = await d.collection(notification_webhook=f"http://127.0.0.1:{server.port}/hook")
        result_set = await d.deliver(collection)
        async with at_work(d, grace=0.01):
            await arrived.wait()
        (job,) = await d.parts.messages.list("ann")
        assert (job.lease, job.crashes, job.due) == (None, 0, AT_ONCE)
        assert (await _status(d, result_set))["status"] == "pending"
        let_go.set()


async def test_calls_that_end_with_the_process_are_set_aside(tmp_path: Path, receiver: Receiver) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.deliver(await _collection(d, receiver))
        for _ in range(3):
            assert len(await d.parts.messages.claim(1, each=1)) == 1
            d.clock.now += 31
        await d.tell()
        status = await _status(d, result_set)
        assert (status["status"], status["code"]) == ("failed", "internal_error")
        assert receiver.seen == []
