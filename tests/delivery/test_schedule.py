"""When a failed attempt is repeated."""

from pathlib import Path

import pytest

from consignee.delivery.schedule import Schedule
from consignee.sections import DeliverySettings
from delivery.depot import depot
from delivery.warehouse import passing

STEPS = [10.0, 60.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0, 86400.0, 86400.0]


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
async def test_the_job_is_due_exactly_a_step_later_and_failed_after_the_last(
    tmp_path: Path, chance: float, factor: float
) -> None:
    async with depot(tmp_path, random=lambda: chance) as d:
        result_set = await d.ready()
        d.warehouse.broken["bucket"] = passing()
        for failures, step in enumerate(STEPS, 1):
            assert await d.work() == 1
            job = await d.job(result_set)
            assert job.due == pytest.approx(d.clock.now + step * factor, abs=1e-6)
            delivery = await d.delivery(result_set)
            assert (delivery.status, delivery.failures, delivery.attempts) == ("retrying", failures, failures)
            assert job.due is not None
            d.clock.now = job.due - 0.001
            assert await d.work() == 0
            d.clock.now = job.due
        assert await d.work() == 1
        delivery = await d.delivery(result_set)
        assert (await d.job(result_set)).due is None
        assert (delivery.status, delivery.code, delivery.attempts) == ("failed", "provider_error", 11)
        assert delivery.log[-1]["text"].startswith("The storage reported a fault.")


@pytest.mark.parametrize(
    ("asked", "due"),
    [(1.0, 10.0), (10.0, 10.0), (15.0, 15.0), (20.0, 20.0), (3600.0, 20.0)],
)
async def test_what_the_storage_asks_for_is_honoured_between_once_and_twice_the_step(
    tmp_path: Path, asked: float, due: float
) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [passing(retry_after=asked)]
        await d.work()
        assert (await d.job(result_set)).due == pytest.approx(d.clock.now + due)


async def test_a_success_after_failures_begins_the_schedule_anew(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [passing(), passing()]
        for _ in range(3):
            await d.work()
            d.clock.now += 61
        delivery = await d.delivery(result_set)
        assert (delivery.status, delivery.failures, delivery.attempts, delivery.code) == ("success", 0, 3, None)


def test_all_steps_and_the_jitter_are_settings() -> None:
    schedule = Schedule.of(DeliverySettings(retries=("1s", "2m"), jitter=0.5), random=lambda: 1.0)
    assert [schedule.wait(failures) for failures in (1, 2, 3)] == [1.5, 180.0, None]


def test_probes_follow_the_steps_and_repeat_the_last_one() -> None:
    schedule = Schedule((10.0, 60.0), random=lambda: 0.5)
    assert [schedule.probe(probes) for probes in range(4)] == [10.0, 60.0, 60.0, 60.0]
