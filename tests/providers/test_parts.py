"""Uploads in parts: what is sent when, what is sent again, and what is left when it fails."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from consignee.body import Body, BytesBody
from consignee.errors import (
    AccessDenied,
    EndpointUnreachable,
    NotAStorageService,
    ProviderError,
    ProviderFailure,
    Throttled,
    TimedOut,
)
from consignee.providers.base import Checkpoint
from consignee.providers.parts import UploadGone, UploadSpoiled
from consignee.testing.large import Stopped, StoppingCheckpoint
from providers.scripted_bucket import PARTS, ScriptedBucket

CONTENT = bytes(range(45))
BODY = BytesBody(CONTENT)
EVERY = [f"part {number}" for number in range(1, 6)]
ONE_BY_ONE = replace(PARTS, at_once=1)
BUSY = Throttled("The storage asked us to slow down.")


async def stopped(bucket: ScriptedBucket, *, after: int) -> Checkpoint:
    """Return the checkpoint of an upload whose process ended after so many saves."""
    checkpoint = StoppingCheckpoint(after=after)
    with pytest.raises(Stopped):
        await bucket.put("key", BODY, checkpoint)
    bucket.calls.clear()
    return Checkpoint(checkpoint.state)


async def test_a_body_is_sent_in_parts_and_made_of_them() -> None:
    bucket, checkpoint = ScriptedBucket(ONE_BY_ONE), Checkpoint()
    await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == ["begin", *EVERY, "complete"]
    assert bucket.objects == {"key": CONTENT}
    assert checkpoint.state == {}


async def test_an_empty_body_is_one_part() -> None:
    bucket = ScriptedBucket()
    await bucket.put("key", BytesBody(b""))
    assert (bucket.calls, bucket.objects) == (["begin", "part 1", "complete"], {"key": b""})


async def test_no_more_parts_than_allowed_are_under_way() -> None:
    bucket = ScriptedBucket(hold=True)
    putting = asyncio.create_task(bucket.put("key", BODY))
    while bucket.waiting < PARTS.at_once:
        await asyncio.sleep(0)
    bucket.released.set()
    await putting
    assert bucket.most == PARTS.at_once
    assert bucket.objects == {"key": CONTENT}


@pytest.mark.parametrize("sent", [0, 1, 4])
async def test_what_was_sent_is_not_sent_again(sent: int) -> None:
    """The last part that the ended process sent was not recorded, so it goes out twice."""
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=1 + sent)
    await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == [*EVERY[sent:], "complete"]
    assert bucket.objects == {"key": CONTENT}


async def test_where_only_the_completion_is_missing_only_that_is_asked_for() -> None:
    bucket, checkpoint = ScriptedBucket(), Checkpoint()
    bucket.faults["complete"] = [AccessDenied("x")]
    with pytest.raises(AccessDenied):
        await bucket.put("key", BODY, checkpoint)
    bucket.calls.clear()
    await bucket.put("key", BODY, checkpoint)
    assert (bucket.calls, bucket.objects) == (["complete"], {"key": CONTENT})


async def test_it_goes_on_with_the_part_size_that_it_began_with() -> None:
    """Also where the setting is another one meanwhile."""
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=3)
    bucket._parts = replace(ONE_BY_ONE, size=15)
    await bucket.put("key", BODY, checkpoint)
    assert (bucket.calls, bucket.objects) == ([*EVERY[2:], "complete"], {"key": CONTENT})


@pytest.mark.parametrize("failure", [BUSY, TimedOut("x"), EndpointUnreachable("x"), ProviderError("x")])
async def test_a_part_that_fails_is_sent_again_alone(failure: ProviderFailure) -> None:
    bucket = ScriptedBucket(ONE_BY_ONE)
    bucket.faults["part 2"] = [failure, failure]
    await bucket.put("key", BODY)
    assert bucket.calls == ["begin", "part 1", "part 2", "part 2", *EVERY[1:], "complete"]
    assert bucket.objects == {"key": CONTENT}


async def test_a_part_that_keeps_failing_fails_the_upload() -> None:
    """After as many tries as are set; what was sent stays for the next attempt."""
    bucket, checkpoint = ScriptedBucket(ONE_BY_ONE), Checkpoint()
    bucket.faults["part 2"] = [BUSY] * PARTS.tries
    with pytest.raises(Throttled):
        await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == ["begin", "part 1", "part 2", "part 2", "part 2"]
    await bucket.put("key", BODY, checkpoint)
    assert bucket.calls[5:] == [*EVERY[1:], "complete"]


async def test_a_permanent_failure_stops_at_once() -> None:
    """Parts under way are given up, and no other is begun."""
    bucket = ScriptedBucket(hold=True)
    bucket.faults["part 3"] = [AccessDenied("The storage refused access.")]
    with pytest.raises(AccessDenied):
        await bucket.put("key", BODY)
    assert bucket.calls == ["begin", *EVERY[:3], "abort"]
    assert (bucket.waiting, bucket.uploads, bucket.objects) == (0, {}, {})


async def test_a_storage_that_wants_a_long_pause_is_left_to_the_next_attempt() -> None:
    bucket, checkpoint = ScriptedBucket(ONE_BY_ONE), Checkpoint()
    bucket.faults["part 1"] = [Throttled("x", retry_after=3600)]
    with pytest.raises(Throttled):
        await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == ["begin", "part 1"]


async def test_the_cause_of_a_failure_is_kept() -> None:
    bucket, cause = ScriptedBucket(), OSError("reset")
    failure = AccessDenied("x")
    failure.__cause__ = cause
    bucket.faults["part 1"] = [failure]
    with pytest.raises(AccessDenied) as failed:
        await bucket.put("key", BODY)
    assert failed.value.__cause__ is cause


async def test_an_upload_that_the_storage_forgot_is_begun_anew() -> None:
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=3)
    bucket.uploads.clear()
    await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == ["part 3", "abort", "begin", *EVERY, "complete"]
    assert bucket.objects == {"key": CONTENT}


@pytest.mark.parametrize("gone", [UploadGone(), UploadSpoiled("Parts are missing.")])
async def test_what_was_never_begun_can_not_be_gone(gone: UploadGone) -> None:
    bucket, checkpoint = ScriptedBucket(), Checkpoint()
    bucket.faults["begin"] = [gone]
    with pytest.raises(NotAStorageService):
        await bucket.put("key", BODY, checkpoint)
    assert (bucket.calls, checkpoint.state) == (["begin"], {})


async def test_an_upload_that_is_forgotten_while_it_is_sent_fails_and_can_be_repeated() -> None:
    bucket, checkpoint = ScriptedBucket(ONE_BY_ONE), Checkpoint()
    bucket.faults["part 2"] = [UploadGone()]
    with pytest.raises(ProviderError):
        await bucket.put("key", BODY, checkpoint)
    assert (checkpoint.state, bucket.uploads) == ({}, {})
    await bucket.put("key", BODY, checkpoint)
    assert bucket.objects == {"key": CONTENT}


async def test_a_completion_whose_answer_got_lost_counts_as_done() -> None:
    """The second one hears that there is no such upload: it was completed by the first."""
    bucket = ScriptedBucket()
    bucket.late["complete"] = [TimedOut("x")]
    await bucket.put("key", BODY)
    assert bucket.calls[-2:] == ["complete", "complete"]
    assert bucket.objects == {"key": CONTENT}


async def test_what_may_have_expired_does_not_count_as_done() -> None:
    """The first completion after a pause reached nobody, and the second finds no upload: that proves nothing."""
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=5 + 1)
    bucket.uploads.clear()
    bucket.faults["complete"] = [EndpointUnreachable("x")]
    await bucket.put("key", BODY, checkpoint)
    assert bucket.calls == ["complete", "complete", "abort", "begin", *EVERY, "complete"]
    assert bucket.objects == {"key": CONTENT}


async def test_a_completion_that_lacks_parts_is_never_done() -> None:
    bucket, checkpoint = ScriptedBucket(), Checkpoint()
    bucket.faults["complete"] = [TimedOut("x"), UploadSpoiled("The storage does not have all parts.")]
    with pytest.raises(ProviderError, match="does not have all parts"):
        await bucket.put("key", BODY, checkpoint)
    assert (bucket.uploads, bucket.objects, checkpoint.state) == ({}, {}, {})


@pytest.mark.parametrize(("key", "content"), [("key", CONTENT[::-1]), ("other", CONTENT)])
async def test_an_upload_of_something_else_is_abandoned(key: str, content: bytes) -> None:
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=3)
    await bucket.put(key, BytesBody(content), checkpoint)
    assert bucket.calls == ["abort", "begin", *EVERY, "complete"]
    assert (bucket.uploads, bucket.objects) == ({}, {key: content})


async def test_an_upload_that_may_not_be_aborted_is_no_obstacle() -> None:
    bucket = ScriptedBucket(ONE_BY_ONE)
    checkpoint = await stopped(bucket, after=3)
    bucket.faults["abort"] = [AccessDenied("x")]
    await bucket.put("other", BODY, checkpoint)
    assert bucket.objects == {"other": CONTENT}


async def test_a_checkpoint_of_another_kind_of_upload_is_replaced() -> None:
    """Such as of the other kind of credentials that a destination had before."""
    bucket = ScriptedBucket()
    await bucket.put("key", BODY, Checkpoint({"session": "x", "key": "key", "sha256": BODY.sha256.hex()}))
    assert "abort" not in bucket.calls
    assert bucket.objects == {"key": CONTENT}


async def test_without_a_checkpoint_a_failed_upload_is_aborted() -> None:
    bucket = ScriptedBucket()
    bucket.faults["complete"] = [BUSY] * PARTS.tries
    with pytest.raises(Throttled):
        await bucket.put("key", BODY)
    assert bucket.calls[-1] == "abort"
    assert (bucket.uploads, bucket.objects) == ({}, {})


async def test_a_failure_to_abort_does_not_hide_the_first_one() -> None:
    bucket = ScriptedBucket()
    bucket.faults["complete"] = [AccessDenied("x")]
    bucket.faults["abort"] = [TimedOut("x")]
    with pytest.raises(AccessDenied):
        await bucket.put("key", BODY)
    assert bucket.calls[-1] == "abort"


class FullDisk(Checkpoint):
    """Can't keep anything."""

    async def save(self, state: Mapping[str, Any]) -> None:
        raise OSError("no space left")


async def test_an_upload_of_which_nothing_can_be_noted_is_aborted() -> None:
    bucket = ScriptedBucket()
    with pytest.raises(OSError, match="no space left"):
        await bucket.put("key", BODY, FullDisk())
    assert (bucket.calls, bucket.uploads) == (["begin", "abort"], {})


class Unreadable(BytesBody):
    """A body whose third part can't be read."""

    async def part(self, offset: int, length: int) -> Body:
        if offset == 20:
            raise OSError("input/output error")
        return await super().part(offset, length)


async def test_a_body_that_cant_be_read_raises_as_it_is() -> None:
    bucket = ScriptedBucket()
    with pytest.raises(OSError, match="input/output"):
        await bucket.put("key", Unreadable(CONTENT))
    assert (bucket.uploads, bucket.objects) == ({}, {})


@pytest.mark.parametrize("kept", [True, False])
async def test_cancellation_keeps_what_a_checkpoint_records_and_nothing_else(kept: bool) -> None:
    bucket, checkpoint = ScriptedBucket(hold=True), Checkpoint() if kept else None
    putting = asyncio.create_task(bucket.put("key", BODY, checkpoint))
    while bucket.waiting < PARTS.at_once:
        await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert bucket.waiting == 0
    assert list(bucket.uploads) == (["upload-1"] if checkpoint else [])
    assert checkpoint is None or checkpoint.state["upload"] == "upload-1"
