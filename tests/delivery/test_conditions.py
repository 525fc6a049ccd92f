"""Destinations that fail rest between probes, so that they cost little; and are disabled when they do nothing but fail."""

import asyncio
from pathlib import Path

import pytest

from consignee.delivery.conditions import KIND, view
from consignee.delivery.result_set import ResultSet
from consignee.errors import CredentialsRejected
from consignee.store import Data
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing


async def _many(d: Depot, count: int, bucket: str = "bucket") -> tuple[str, list[ResultSet]]:
    one = await d.destination(bucket)
    collection = await d.collection(one)
    return one, [await d.deliver(collection) for _ in range(count)]


async def test_after_five_failures_in_a_row_one_probe_per_step_is_all_that_is_tried(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, _ = await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        tried = await d.work()
        assert 5 <= tried <= 8  # those under way with the fifth end too
        for step in (10, 60, 300, 1800, 7200, 18000):
            d.clock.now += step - 1
            assert await d.work() == 0
            d.clock.now += 1
            assert await d.work() == 1
        shown = view(d.parts.conditions.of("ann", one))
        assert (shown["state"], shown["failures"]) == ("failing", tried + 6)
        assert shown["failing_since"] == "2026-01-02T03:00:00.000Z"
        assert shown["next_probe_at"] == "2026-01-02T20:36:10.000Z"


async def test_no_more_is_tried_than_was_under_way_with_the_fifth_failure(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, _ = await _many(d, 40)
        d.warehouse.broken["bucket"] = passing()
        async with at_work(d):
            await until(lambda: d.parts.conditions.of("ann", one).probe_at is not None)
            await until(lambda: d.parts.conditions.of("ann", one).failures == len(d.sent()))
        assert 5 <= len(d.sent()) <= 8


async def test_one_success_lets_everything_flow_again(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, result_sets = await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        d.warehouse.broken.clear()
        d.clock.now += 10
        assert await d.work() == 20
        assert await d.at_rest(*result_sets)
        shown = view(d.parts.conditions.of("ann", one))
        assert (shown["state"], shown["failures"], shown["next_probe_at"]) == ("ok", 0, None)
        texts = [entry["text"] for entry in shown["log"]]
        assert texts[0].endswith("failures in a row, provider_error: only probed until something arrives.")
        assert texts[1] == "Works again."


async def test_a_destination_at_rest_holds_up_no_other(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await _many(d, 20, "dead")
        d.warehouse.broken["dead"] = passing()
        await d.work()
        _, others = await _many(d, 5, "alive")
        await d.work()
        assert await d.at_rest(*others)


async def test_a_good_test_of_the_destination_ends_its_rest(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, result_sets = await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        failed = await d.work()
        assert not (await d.destinations.test_saved("ann", one)).ok
        assert await d.work() == 0
        d.warehouse.broken.clear()
        assert (await d.destinations.test_saved("ann", one)).ok
        assert await d.work() == 20 - failed
        d.clock.now += 10
        await d.work()
        assert await d.at_rest(*result_sets)


async def test_a_good_update_of_the_destination_ends_its_rest_and_its_need_of_attention(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        d.warehouse.memory.buckets["other"] = {}
        one, _ = await _many(d, 8)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        assert view(d.parts.conditions.of("ann", one))["state"] == "needs_attention"
        await d.destinations.update("ann", one, {"memory_bucket_name": "other"})
        shown = view(d.parts.conditions.of("ann", one))
        assert (shown["state"], shown["attention"]) == ("ok", None)
        assert shown["log"][-1]["text"] == "Works again."


async def test_a_destination_goes_on_resting_after_a_restart(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        async with d.again() as again:
            again.clock.now += 9
            assert await again.work() == 0
            again.clock.now += 1
            assert await again.work() == 1


async def test_a_probe_that_never_reports_makes_room_for_another(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        d.clock.now += 10
        assert len(await d.parts.queue.claim(64, each=4)) == 1
        assert await d.work() == 0
        d.clock.now += 31
        assert await d.work() == 1


async def test_a_probe_that_says_nothing_of_the_destination_makes_room_for_another(tmp_path: Path) -> None:
    """As one that fails for a fault of ours."""
    async with depot(tmp_path) as d:
        await _many(d, 20)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        d.warehouse.broken.clear()
        d.warehouse.faults["bucket"] = [TypeError("a fault")]
        d.clock.now += 10
        assert await d.work() == 20


async def test_after_five_days_of_nothing_but_failure_a_destination_is_disabled_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits for it is skipped at once, however late it was due, and tells the reason."""
    async with depot(tmp_path) as d:
        one, result_sets = await _many(d, 6)
        d.warehouse.broken["bucket"] = passing()
        for _ in range(5):
            await d.work()
            d.clock.now += 86400 - 1
        await d.work()
        assert (await d.destinations.get("ann", one)).enabled
        d.clock.now += 86400
        await d.work()
        assert not (await d.destinations.get("ann", one)).enabled
        assert await d.at_rest(*result_sets)
        reason = "Disabled: nothing could be delivered since 2026-01-02T03:00:00.000Z."
        for result_set in result_sets:
            status = await d.status(result_set)
            assert (status["status"], status["log"][-1]["text"]) == ("skipped", reason)
        texts = [entry["text"] for entry in d.parts.conditions.of("ann", one).log]
        assert texts.count(reason) == 1
        assert reason in caplog.text


async def test_several_that_fail_at_the_same_time_disable_it_once(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, _ = await _many(d, 1)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        collection = await d.collection(one)
        for _ in range(4):
            d.clock.now += 1.25 * 86400 - 1
            await d.deliver(collection)
            await d.work()
        d.clock.now += 4
        for _ in range(3):
            await d.deliver(collection)
        assert await d.work() == 3
        texts = [entry["text"] for entry in d.parts.conditions.of("ann", one).log]
        assert len([text for text in texts if text.startswith("Disabled:")]) == 1


async def test_one_success_in_five_days_is_enough_to_stay(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, _ = await _many(d, 1)
        collection = await d.collection(one)
        for day in range(12):
            d.warehouse.faults["bucket"] = [None if day == 3 else CredentialsRejected("The key is wrong.")]
            await d.deliver(collection)
            await d.work()
            d.clock.now += 86400 / 2
        assert (await d.destinations.get("ann", one)).enabled


async def test_a_setting_keeps_destinations_enabled_for_ever(tmp_path: Path) -> None:
    async with depot(tmp_path, disable_after="") as d:
        one, _ = await _many(d, 1)
        d.warehouse.broken["bucket"] = passing()
        for _ in range(11):
            await d.work()
            d.clock.now += 2 * 86400
        assert (await d.destinations.get("ann", one)).enabled


async def test_an_enabled_again_destination_starts_with_a_clean_slate(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, (result_set,) = await _many(d, 1)
        for _ in range(6):
            d.warehouse.faults["bucket"] = [passing()]
            await d.work()
            d.clock.now += 86400
        assert not (await d.destinations.get("ann", one)).enabled
        await d.destinations.update("ann", one, {"enabled": True})
        d.warehouse.faults["bucket"] = [passing()]
        await d.deliver(await d.collection(one))
        await d.work()
        assert (await d.destinations.get("ann", one)).enabled
        assert d.parts.conditions.of("ann", one).failures == 1
        assert (await d.delivery(result_set)).status == "skipped"


async def test_failures_at_the_same_time_are_all_counted_and_kept(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination()
        await asyncio.gather(*(d.parts.conditions.failed("ann", one, passing()) for _ in range(20)))
        document = await d.store.get(KIND, "ann", one)
        assert document is not None
        assert document.data["failures"] == d.parts.conditions.of("ann", one).failures == 20


async def test_nothing_is_known_any_more_of_a_deleted_destination(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, _ = await _many(d, 8)
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        await d.destinations.delete("ann", one)
        assert await d.store.get(KIND, "ann", one) is None
        assert d.parts.conditions.of("ann", one).failures == 0


class SlowStore(FrailStore):
    """Conditions are not saved before the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.saving = False

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        if kind == KIND:
            self.saving = True
            await self.gate.wait()
        await super().before_save(kind, id, data)


async def test_a_failure_that_is_being_noted_while_its_destination_is_deleted_does_not_stay(tmp_path: Path) -> None:
    """Or that destination would be counted among the failing ones from the next start on, for ever."""
    store = SlowStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        one, _ = await _many(d, 1)
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        working = asyncio.create_task(d.work())
        await until(lambda: store.saving)
        await d.destinations.delete("ann", one)
        store.gate.set()
        await asyncio.gather(working, return_exceptions=True)
        assert await store.count(KIND, "ann") == 0
        assert d.parts.conditions.states.total() == 0


async def test_accounts_take_turns(tmp_path: Path) -> None:
    """Who has a hundred deliveries waiting does not hold up who has one."""
    async with depot(tmp_path, concurrency=4) as d:
        busy = [await d.destination(f"busy{number}") for number in range(10)]
        collection = await d.collection(*busy)
        for _ in range(10):
            await d.deliver(collection)
        other = await d.destination("other", account="bob")
        await d.deliver(await d.collection(other, account="bob"))
        async with at_work(d):
            await until(lambda: len(d.warehouse["other"]) == 1)
            before = [bucket for bucket, _ in d.warehouse.puts].index("other")
        assert before <= 4


async def test_no_two_destinations_share_a_condition(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one, two = await d.destination("one"), await d.destination("two")
        await d.parts.conditions.failed("ann", one, passing())
        assert d.parts.conditions.of("ann", two).failures == 0
        assert d.parts.conditions.of("bob", one).failures == 0
