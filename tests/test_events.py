"""What is told to `on_event`: each event once, when what it tells of has happened, and never a secret."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from consignee import events
from consignee.delivery.herald import FAULT, INTERRUPTED
from consignee.errors import CredentialsRejected, StoreError, VerificationFailed
from consignee.events import (
    AttemptEnded,
    DeliveryEnded,
    DestinationDisabled,
    DestinationNeedsAttention,
    DestinationRecovered,
    DestinationRested,
    DestinationTested,
    Event,
    Events,
    ResultSetAccepted,
)
from consignee.store import Data, Document
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing
from pages import rows


class Heard(list[Event]):
    """An `on_event` that keeps what it hears of a service."""

    def __init__(self, d: Depot) -> None:
        super().__init__()
        d.destinations.events.listen(self.append)

    def of(self, kind: type[Event]) -> list[dict[str, Any]]:
        """Return what was heard of that kind, without the account and how long it took."""
        assert all(one.account == "ann" for one in self)
        found = [vars(one) for one in self if type(one) is kind]
        return [{key: value for key, value in one.items() if key not in ("account", "seconds")} for one in found]

    def told(self) -> list[str]:
        """Return the kinds of what was heard, and forget it."""
        kinds = [type(one).__name__ for one in self]
        self.clear()
        return kinds


async def test_a_delivery_that_arrives_is_told_from_its_acceptance_to_its_end(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        heard = Heard(d)
        result_set = await d.ready("one", "two", files={"a.txt": b"abc", "b.txt": b"de"})
        assert heard.told() == ["DestinationTested", "DestinationTested", "ResultSetAccepted"]
        await d.work()
        place = {"collection_id": result_set.collection_id, "number": 1}
        for one in result_set.destination_ids:
            place |= {"delivery_id": f"{result_set.id}.{one}", "destination_id": one, "destination_type": "memory"}
            what = {"code": None, "files": 2, "bytes": 5}
            assert {**place, **what, "attempt": 1, "ok": True} in heard.of(AttemptEnded)
            assert {**place, **what, "attempts": 1, "status": "success"} in heard.of(DeliveryEnded)
        assert sorted(heard.told()) == ["AttemptEnded", "AttemptEnded", "DeliveryEnded", "DeliveryEnded"]


async def test_what_was_taken_in_is_told_with_its_files_and_bytes(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination()
        collection = await d.collection(one)
        heard = Heard(d)
        await d.deliver(collection, {"a.txt": b"abc", "b.txt": b"de"})
        accepted = {"collection_id": collection.id, "number": 1, "files": 2, "bytes": 5, "destination_ids": (one,)}
        assert heard.of(ResultSetAccepted) == [accepted]


async def test_an_attempt_tells_of_what_arrived_in_it_alone(tmp_path: Path) -> None:
    """The first file has arrived when the second one fails; the next attempt sends only that."""
    async with depot(tmp_path, per_destination=1) as d:
        await d.ready(files={"a.txt": b"abc", "b.txt": b"de"})
        heard = Heard(d)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        assert heard.told() == ["AttemptEnded"]
        d.clock.now += 10
        await d.work()
        ((attempt), (end)) = heard
        assert isinstance(attempt, AttemptEnded)
        assert (attempt.attempt, attempt.files, attempt.bytes) == (2, 1, 2)
        assert isinstance(end, DeliveryEnded)
        assert (end.attempts, end.files, end.bytes, end.seconds) == (2, 2, 5, 10.0)


async def test_a_failure_that_does_not_pass_is_told_and_so_is_that_it_did(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        (one,) = result_set.destination_ids
        heard = Heard(d)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        assert heard.of(DestinationNeedsAttention) == [{"destination_id": one, "code": "credentials_rejected"}]
        assert [(end["status"], end["code"]) for end in heard.of(DeliveryEnded)] == [("failed", "credentials_rejected")]
        assert heard.told() == ["AttemptEnded", "DestinationNeedsAttention", "DeliveryEnded"]
        await d.parts.deliveries.resend(result_set, [one])
        await d.work()
        assert heard.told() == ["AttemptEnded", "DeliveryEnded"]  # it is the same as before
        d.warehouse.broken.clear()
        await d.destinations.test_saved("ann", one)
        assert heard.told() == ["DestinationTested", "DestinationRecovered"]


async def test_a_destination_that_begins_to_rest_is_told_once(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=3) as d:
        one = await d.destination()
        collection = await d.collection(one)
        for _ in range(3):
            await d.deliver(collection)
        heard = Heard(d)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        assert heard.of(DestinationRested) == [{"destination_id": one, "failures": 3, "code": "provider_error"}]
        d.clock.now += 10
        await d.work()
        assert len(heard.of(DestinationRested)) == 1
        d.warehouse.broken.clear()
        d.clock.now += 1000
        await d.work()
        assert heard.of(DestinationRecovered) == [{"destination_id": one}]


async def test_a_destination_that_is_disabled_is_told_with_what_is_skipped_for_it(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=1, disable_after="1d") as d:
        one = await d.destination()
        collection = await d.collection(one)
        await d.deliver(collection)
        await d.deliver(collection)
        heard = Heard(d)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.courier.work(job)
        d.clock.now += 86_400
        await d.parts.conditions.failed("ann", one, d.warehouse.broken["bucket"])
        heard.clear()
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.deliver(collection)
        await d.parts.courier.work(job)
        assert heard.of(DestinationDisabled) == [{"destination_id": one, "destination_type": "memory"}]
        assert [(end["status"], end["number"]) for end in heard.of(DeliveryEnded)] == [("failed", 2), ("skipped", 3)]


async def test_a_destination_is_told_to_be_disabled_once_however_many_attempts_find_it_hopeless(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=1, disable_after="1d") as d:
        one = await d.destination()
        collection = await d.collection(one)
        for _ in range(2):
            await d.deliver(collection)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        for _ in range(2):
            await d.parts.conditions.failed("ann", one, d.warehouse.broken["bucket"])
            d.clock.now += 43_200
        heard = Heard(d)
        jobs = await d.parts.queue.claim(2, each=2)
        await asyncio.gather(*map(d.parts.courier.work, jobs))
        assert len(heard.of(DeliveryEnded)) == 2
        assert heard.of(DestinationDisabled) == [{"destination_id": one, "destination_type": "memory"}]


@pytest.mark.parametrize("deleted", [False, True])
async def test_what_is_skipped_from_the_start_or_since_its_destination_is_gone_is_told(
    tmp_path: Path, deleted: bool
) -> None:
    async with depot(tmp_path) as d:
        heard = Heard(d)
        one = await d.destination(enabled=deleted)
        result_set = await d.deliver(await d.collection(one))
        if deleted:
            await d.destinations.delete("ann", one)
        ((end),) = heard.of(DeliveryEnded)
        expected = {"status": "skipped", "code": None, "attempts": 0, "files": 0, "bytes": 0}
        place = {"collection_id": result_set.collection_id, "number": 1, "destination_id": one}
        type_ = {"destination_type": "memory", "delivery_id": f"{result_set.id}.{one}"}
        assert end == {**expected, **place, **type_}
        assert not heard.of(AttemptEnded)


async def test_one_that_is_skipped_when_its_destination_is_gone_has_no_type(tmp_path: Path) -> None:
    """It can't be known any more."""
    async with depot(tmp_path) as d:
        one = await d.destination()
        collection = await d.collection(one)
        d.destinations.deleted.clear()
        await d.deliver(collection)
        await d.destinations.delete("ann", one)
        heard = Heard(d)
        await d.work()
        assert [(end["status"], end["destination_type"]) for end in heard.of(DeliveryEnded)] == [("skipped", "")]


class LateStore(FrailStore):
    """Something happens just before the first delivery is saved as skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Awaitable[object] | None = None

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        if self.before is not None and kind == "deliveries" and data["data"]["status"] == "skipped":
            before, self.before = self.before, None
            await before
        await super().before_save(kind, id, data)


class BlindStore(FrailStore):
    """Destinations can't be read while it is blind."""

    blind = False

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        if self.blind and kind == "destinations":
            raise StoreError("it can't be read")
        return await super().get(kind, account, id)


async def test_an_end_whose_destination_can_not_be_read_is_told_and_passed_on(tmp_path: Path) -> None:
    """The webhook hears of it, which nothing would make up for before the next start."""
    store = BlindStore()
    await store.open()
    async with depot(tmp_path, store=store, retries=()) as d:
        one = await d.destination()
        collection = await d.collection(one, notification_webhook="https://hooks.example.com/x")
        result_set = await d.deliver(collection)
        heard = Heard(d)
        store.blind = True
        await d.work()
        assert [(end["status"], end["destination_type"]) for end in heard.of(DeliveryEnded)] == [("failed", "")]
        assert await d.parts.webhooks.unfinished("ann", result_set.id)


async def test_an_end_whose_destination_is_no_whole_document_is_told(tmp_path: Path) -> None:
    """Somebody altered it in the store: that is no reason to refuse a result set."""
    async with depot(tmp_path) as d:
        one = await d.destination(enabled=False)
        collection = await d.collection(one)
        kept = await d.store.get("destinations", "ann", one)
        assert kept is not None
        altered = {name: value for name, value in kept.data.items() if name != "type"}
        await d.store.save("destinations", "ann", one, altered, replaces=kept.revision)
        heard = Heard(d)
        await d.deliver(collection)
        assert heard.told() == ["DeliveryEnded", "ResultSetAccepted"]


async def test_what_was_cancelled_before_the_disk_failed_is_told_and_passed_on(tmp_path: Path) -> None:
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        one = await d.destination()
        collection = await d.collection(one, notification_webhook="https://hooks.example.com/x")
        sets = [await d.deliver(collection) for _ in range(3)]
        heard = Heard(d)
        store.fail_next["deliveries"] = 1
        await d.destinations.delete("ann", one)
        assert sorted(end["number"] for end in heard.of(DeliveryEnded)) == [1, 2]
        assert [await d.parts.webhooks.unfinished("ann", each.id) for each in sets] == [True, True, False]
        await d.work()
        assert [end["number"] for end in heard.of(DeliveryEnded)][2:] == [3]
        assert await d.parts.webhooks.unfinished("ann", sets[2].id)


async def test_what_arrives_while_it_is_being_cancelled_is_told_as_what_it_is(tmp_path: Path) -> None:
    store = LateStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        heard, gate = Heard(d), asyncio.Event()
        d.warehouse.gates["bucket"] = gate
        (job,) = await d.parts.queue.claim(1, each=1)
        working = asyncio.create_task(d.parts.courier.work(job))
        await until(lambda: d.warehouse.at_gate)

        async def arrives() -> None:
            gate.set()
            await working

        store.before = arrives()
        await d.destinations.delete("ann", result_set.destination_ids[0])
        assert [end["status"] for end in heard.of(DeliveryEnded)] == ["success"]
        assert await d.has(result_set, "success")


async def test_the_time_of_a_delivery_begins_anew_when_it_is_asked_for_again(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        heard = Heard(d)
        d.clock.now += 7
        await d.work()
        d.clock.now += 1000
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        d.clock.now += 3
        await d.work()
        assert [one.seconds for one in heard if isinstance(one, DeliveryEnded)] == [7.0, 3.0]


async def test_an_attempt_that_a_stop_ends_is_interrupted_and_its_delivery_has_not_ended(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await d.ready()
        heard = Heard(d)
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d, grace=0.01):
            await until(lambda: d.warehouse.at_gate)
        assert [(end["ok"], end["code"], end["files"]) for end in heard.of(AttemptEnded)] == [(False, INTERRUPTED, 0)]
        assert not heard.of(DeliveryEnded)


async def test_a_fault_of_the_service_is_told_as_one(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await d.ready()
        heard = Heard(d)
        d.warehouse.faults["bucket"] = [RuntimeError("a fault of ours")]
        await d.work()
        assert [(end["ok"], end["code"]) for end in heard.of(AttemptEnded)] == [(False, FAULT)]


async def test_a_test_is_told_with_the_destination_if_that_is_saved(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        heard = Heard(d)
        one = await d.destination()
        await d.destinations.test_saved("ann", one)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        with pytest.raises(VerificationFailed):
            await d.destinations.update("ann", one, {"memory_path_prefix": "other"})
        tests = [(test["destination_id"], test["ok"], test["code"]) for test in heard.of(DestinationTested)]
        assert tests == [(None, True, None), (one, True, None), (one, False, "credentials_rejected")]
        assert {test["destination_type"] for test in heard.of(DestinationTested)} == {"memory"}


async def test_no_event_holds_a_secret_or_the_text_of_a_failure(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        heard = Heard(d)
        await d.ready()
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        assert heard
        assert not [word for word in ("memory-secret", "wrong") if word in repr([*heard])]


@pytest.mark.parametrize("kind", [RuntimeError, asyncio.CancelledError])
def test_a_listener_that_raises_is_logged_and_keeps_nobody_from_hearing(
    caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    """Also one that asks a cancelled task for its result: nobody has cancelled us."""
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise kind("hunter2")

    told = Events(broken)
    told.listen(heard.append)
    event = DestinationRecovered(account="ann", destination_id="0A1B2C3D")
    with caplog.at_level(logging.ERROR):
        told.tell(event)
    assert heard == [event]
    ((record),) = caplog.records
    assert "DestinationRecovered" in record.getMessage()
    assert "hunter2" not in record.getMessage()
    assert record.exc_info is not None


def test_who_can_not_hear_is_refused() -> None:
    """A coroutine that nobody awaits would do nothing."""

    async def late(event: Event) -> None:
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="plain function"):
        Events(late)  # type: ignore[arg-type]


def test_every_event_is_documented_with_what_it_tells() -> None:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    documented = {row[0]: row[2].replace("`", "").split(", ") for row in rows("docs/monitoring.md", "Events")}
    told = {kind.__name__: [one.name for one in fields(kind)][1:] for kind in kinds if kind is not Event}
    assert documented == told
