"""Destinations that are disabled because nothing can be delivered to them, and those that must not be."""

import asyncio
from pathlib import Path

import pytest

from consignee.delivery.conditions import KIND
from consignee.delivery.result_set import ResultSet
from consignee.errors import CredentialsRejected, ProviderFailure
from delivery.depot import START, Clock, Depot, depot, until
from delivery.warehouse import passing

DAY = 86400.0


async def _failing(d: Depot, days: int) -> str:
    """Return a destination to which nothing could be delivered for so many days."""
    one = await d.destination()
    collection = await d.collection(one)
    d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
    for day in range(days + 1):
        d.clock.now += DAY if day else 0
        await d.deliver(collection)
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.conditions.failed("ann", one, d.warehouse.broken["bucket"])
        await d.parts.queue.acknowledge(job, {**job.data, "status": "failed"})
    return one


async def _enabled(d: Depot, one: str) -> bool:
    return (await d.destinations.get("ann", one)).enabled


async def test_the_webhooks_of_all_that_is_skipped_are_told_and_all_uploads_abandoned(tmp_path: Path) -> None:
    """Also of the one whose failure was the last: who disables is one of those whose deliveries are cancelled."""
    async with depot(tmp_path) as d:
        one = await d.destination()
        collection = await d.collection(one, notification_webhook="https://hook.example/x")
        d.warehouse.in_parts = True
        d.warehouse.broken["bucket"] = passing()
        result_sets = [await d.deliver(collection) for _ in range(6)]
        d.parts.engine.start()
        await until(lambda: d.parts.conditions.of("ann", one).failures >= 5)
        await until(lambda: _nothing_under_way(d, result_sets))
        for _ in range(5):
            before = d.parts.conditions.of("ann", one).failures
            d.clock.now += DAY
            await d.wake()
            await until(lambda before=before: d.parts.conditions.of("ann", one).failures > before)
        await until(lambda: d.at_rest(*result_sets))
        await until(lambda: _all_told(d, result_sets))
        assert not await _enabled(d, one)
        assert [(await d.status(each))["status"] for each in result_sets] == ["skipped"] * 6
        await until(lambda: len(d.warehouse.abandoned) == 6)
        await d.parts.engine.stop(0)


async def _nothing_under_way(d: Depot, result_sets: list[ResultSet]) -> bool:
    return not any([(await d.job(each)).lease for each in result_sets])


async def _all_told(d: Depot, result_sets: list[ResultSet]) -> bool:
    return None not in [await d.parts.webhooks.status(each.account, each.id) for each in result_sets]


@pytest.mark.parametrize("failure", [passing(), CredentialsRejected("The key is wrong.")])
async def test_failures_far_apart_say_nothing_of_the_time_between_them(
    tmp_path: Path, failure: ProviderFailure
) -> None:
    """Six bad minutes at one time, and some more six days later, are not six days of failure."""
    async with depot(tmp_path) as d:
        one = await d.destination()
        hopeless = []
        for minute in (*range(6), *range(6 * 1440, 6 * 1440 + 6)):
            d.clock.now = START + minute * 60
            hopeless.append(await d.parts.conditions.failed("ann", one, failure))
        assert hopeless == [False] * 12
        assert d.parts.conditions.of("ann", one).since == START + 6 * DAY


async def test_a_few_failures_are_too_few_however_long_they_take(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=5) as d:
        one = await d.destination()
        hopeless = []
        for _ in range(5):
            hopeless.append(await d.parts.conditions.failed("ann", one, passing()))
            d.clock.now += 2 * DAY
        assert hopeless == [False, False, False, False, True]


@pytest.mark.parametrize("wrong", [START - 6 * 365 * DAY, START + 365 * DAY])
async def test_a_clock_that_was_wrong_disables_nothing_and_keeps_nothing_enabled(tmp_path: Path, wrong: float) -> None:
    """As where a machine learns the time only after it has started."""
    async with depot(tmp_path, clock=Clock(wrong)) as d:
        one = await d.destination()
        for _ in range(6):
            assert not await d.parts.conditions.failed("ann", one, passing())
        d.clock.now = START
        assert not await d.parts.conditions.failed("ann", one, passing())
        assert d.parts.conditions.of("ann", one).since == START


async def test_attempts_that_are_days_apart_by_the_schedule_are_not_far_apart(tmp_path: Path) -> None:
    async with depot(tmp_path, disable_after="2h", retries=("3h",), breaker=2) as d:
        one = await d.destination()
        assert not await d.parts.conditions.failed("ann", one, passing())
        d.clock.now += 3 * 3600
        assert await d.parts.conditions.failed("ann", one, passing())


async def test_a_destination_that_was_changed_meanwhile_stays_enabled(tmp_path: Path) -> None:
    async with depot(tmp_path, "other") as d:
        one = await _failing(d, 5)
        before = await d.destinations.get("ann", one)
        d.destinations.works_again.clear()  # as between the change and what follows from it
        d.warehouse.broken.clear()
        await d.destinations.update("ann", one, {"memory_bucket_name": "other"})
        await d.parts.disable(before)
        assert await _enabled(d, one)


async def test_a_destination_that_works_again_meanwhile_stays_enabled(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await _failing(d, 5)
        await d.parts.conditions.succeeded("ann", one)
        await d.parts.disable(await d.destinations.get("ann", one))
        assert await _enabled(d, one)
        assert not [each for each in d.parts.conditions.of("ann", one).log if each["text"].startswith("Disabled")]


async def test_what_neither_was_changed_nor_works_is_disabled(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await _failing(d, 5)
        await d.destinations.update("ann", one, {"name": "renamed"})
        await d.parts.disable(await d.destinations.get("ann", one))
        assert not await _enabled(d, one)


async def test_a_destination_that_is_gone_meanwhile_is_none_to_disable(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await _failing(d, 5)
        before = await d.destinations.get("ann", one)
        await d.destinations.delete("ann", one)
        await d.parts.disable(before)
        assert await d.store.get(KIND, "ann", one) is None


async def test_what_was_under_way_when_a_destination_was_put_to_rest_is_no_probe(tmp_path: Path) -> None:
    """However late it fails: else a few slow uploads would put off the first probe by hours."""
    async with depot(tmp_path, per_destination=8) as d:
        one = await d.destination()
        collection = await d.collection(one)
        slow = [f"slow{number}" for number in range(3)]
        for name in slow:
            await d.deliver(collection, {name: b"x"})
            d.warehouse.gates[name] = asyncio.Event()
        d.warehouse.late = [passing() for _ in slow]
        d.parts.engine.start()
        await until(lambda: d.warehouse.under_way["bucket"] == 3)
        d.clock.now += 1
        d.warehouse.broken["bucket"] = passing()
        for _ in range(5):
            await d.deliver(collection)
        await until(lambda: d.parts.conditions.of("ann", one).failures == 5)
        rest = d.parts.conditions.of("ann", one).probe_at
        assert rest == d.clock.now + 10
        d.clock.now += 11
        for failures, name in enumerate(slow[:2], 6):
            d.warehouse.gates[name].set()
            await until(lambda failures=failures: d.parts.conditions.of("ann", one).failures == failures)
            assert (d.parts.conditions.of("ann", one).probes, d.parts.conditions.of("ann", one).probe_at) == (0, rest)
        d.warehouse.gates[slow[2]].set()  # and now there is room for a probe
        await until(lambda: d.parts.conditions.of("ann", one).probes == 1)
        assert d.parts.conditions.of("ann", one).probe_at == d.clock.now + 60
        await d.parts.engine.stop(0)
