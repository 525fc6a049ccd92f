"""What comes of an attempt."""

from pathlib import Path

import pytest

from consignee.delivery.conditions import view
from consignee.errors import (
    BucketNotFound,
    ClockSkew,
    CredentialsRejected,
    EndpointRefused,
    EndpointUnreachable,
    KeyTooLong,
    ProviderFailure,
    Throttled,
    TimedOut,
)
from consignee.queue import Change, LeaseLost
from delivery.depot import depot
from delivery.warehouse import passing


@pytest.mark.parametrize("kind", [CredentialsRejected, BucketNotFound, EndpointRefused])
async def test_what_will_not_pass_fails_at_once_and_needs_attention(
    tmp_path: Path, kind: type[ProviderFailure]
) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.broken["bucket"] = kind("It is so.")
        assert await d.work() == 1
        status = await d.status(result_set)
        assert (status["status"], status["code"], status["attempts"]) == ("failed", kind.code, 1)
        assert status["next_attempt_at"] is None
        d.clock.now += 10**6
        assert await d.work() == 0
        condition = view(d.parts.conditions.of("ann", result_set.destination_ids[0]))
        assert condition["state"] == "needs_attention"
        assert condition["attention"] == {
            "code": kind.code,
            "message": "It is so.",
            "hint": kind.hint,
            "at": "2026-01-02T03:00:00.000Z",
        }
        assert [entry["text"] for entry in condition["log"]] == ["Needs attention: It is so."]


@pytest.mark.parametrize("kind", [TimedOut, Throttled, EndpointUnreachable])
async def test_what_may_pass_is_tried_again(tmp_path: Path, kind: type[ProviderFailure]) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [kind("It is so.")]
        await d.work()
        status = await d.status(result_set)
        assert (status["status"], status["code"]) == ("retrying", kind.code)
        assert status["next_attempt_at"] == "2026-01-02T03:00:10.000Z"
        assert view(d.parts.conditions.of("ann", result_set.destination_ids[0]))["state"] == "failing"
        d.clock.now += 10
        await d.work()
        assert (await d.status(result_set))["status"] == "success"
        assert view(d.parts.conditions.of("ann", result_set.destination_ids[0]))["state"] == "ok"


async def test_the_failure_that_will_not_pass_decides_among_several(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"1", "b": b"2"})
        d.warehouse.faults["bucket"] = [passing(), CredentialsRejected("The key is wrong.")]
        await d.work()
        assert (await d.delivery(result_set)).code == "credentials_rejected"


async def test_every_upload_is_on_record(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"123"})
        d.warehouse.faults["bucket"] = [passing(provider_code="InternalError", provider_request_id="R1")]
        await d.work()
        d.clock.now += 10
        await d.work()
        shown = d.parts.dispatch.delivery_view(await d.job(result_set), uploads=True)
        assert [(one["attempt"], one["ok"], one["code"], one["provider_code"]) for one in shown["uploads"]] == [
            (1, False, "provider_error", "InternalError"),
            (2, True, None, None),
        ]
        assert shown["uploads"][0]["provider_request_id"] == "R1"
        assert {(one["key"], one["bytes"]) for one in shown["uploads"]} == {("a", 3)}


async def test_a_fault_of_one_file_is_none_of_the_destination(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.broken["bucket"] = KeyTooLong("The key is too long.")
        await d.work()
        assert (await d.delivery(result_set)).status == "failed"
        assert view(d.parts.conditions.of("ann", result_set.destination_ids[0]))["state"] == "ok"


async def test_a_file_that_cannot_be_read_is_our_fault_and_tried_again(tmp_path: Path) -> None:
    """It does not count against the destination, and no upload is recorded as one that went well."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        spooled = tmp_path / "spool" / "kept" / result_set.token / "0"
        content = spooled.read_bytes()
        spooled.unlink()
        await d.work()
        delivery = await d.delivery(result_set)
        assert (delivery.status, delivery.code, delivery.uploads) == ("retrying", "unavailable", ())
        assert str(tmp_path) not in str(delivery)
        assert view(d.parts.conditions.of("ann", result_set.destination_ids[0]))["state"] == "ok"
        spooled.write_bytes(content)
        d.clock.now += 10
        await d.work()
        assert (await d.delivery(result_set)).status == "success"


async def test_a_fault_in_the_program_is_repeated_by_the_schedule_and_its_text_goes_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [TypeError("secret-4711")]
        assert await d.work() == 1
        assert (await d.job(result_set)).due == d.clock.now + 10
        assert "TypeError at _put" in caplog.text
        assert "secret-4711" not in caplog.text + str(await d.delivery(result_set))
        d.clock.now += 10
        await d.work()
        assert (await d.delivery(result_set)).status == "success"


async def test_a_fault_of_ours_that_does_not_pass_is_given_up_in_the_end(tmp_path: Path) -> None:
    async with depot(tmp_path, retries=("1s",)) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [TypeError("a fault"), TypeError("a fault")]
        await d.work()
        d.clock.now += 1
        await d.work()
        status = await d.status(result_set)
        assert (status["status"], status["code"]) == ("failed", "internal_error")
        assert status["log"][-1]["text"] == "The service could not do its part."


async def test_an_attempt_whose_job_was_taken_away_has_no_say(tmp_path: Path) -> None:
    """It learns of that when it wants to keep what it has achieved, and leaves everything as it is."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.queue.change("ann", job.id, lambda now: Change(now.data, d.clock.now + 60))
        with pytest.raises(LeaseLost):
            await d.parts.courier.work(job)
        delivery = await d.delivery(result_set)
        assert (delivery.attempts, delivery.status, (await d.job(result_set)).due) == (0, "pending", d.clock.now + 60)
        assert d.parts.courier.progress(job) is None


async def test_a_wrong_clock_of_ours_is_none_of_the_destinations_faults(tmp_path: Path) -> None:
    """What it keeps from arriving is tried again, and nothing is held back."""
    async with depot(tmp_path) as d:
        collection = await d.collection(await d.destination())
        result_sets = [await d.deliver(collection) for _ in range(6)]
        d.warehouse.broken["bucket"] = ClockSkew("The storage refused the request because of its time.")
        assert await d.work() == 6
        condition = view(d.parts.conditions.of("ann", collection.destination_ids[0]))
        assert (condition["state"], condition["failures"]) == ("ok", 0)
        status = await d.status(result_sets[0])
        assert (status["status"], status["code"]) == ("retrying", "clock_skew")
        d.warehouse.broken.clear()
        d.clock.now += 10
        assert await d.work() == 6
        assert await d.at_rest(*result_sets)


async def test_a_destination_disabled_meanwhile_is_skipped_and_says_why(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        await d.destinations.update("ann", result_set.destination_ids[0], {"enabled": False})
        await d.work()
        status = await d.status(result_set)
        assert (status["status"], status["attempts"], d.sent()) == ("skipped", 0, [])
        assert status["log"][-1]["text"] == "The destination is disabled."


async def test_a_disabled_destination_is_skipped_from_the_start(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination(enabled=False)
        result_set = await d.deliver(await d.collection(one))
        assert (await d.status(result_set))["status"] == "skipped"
        assert await d.work() == 0
