"""Large objects by service account: what is sent, and how an upload goes on after whatever happened to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consignee.body import Body, BytesBody, FileBody
from consignee.errors import BucketNotFound, FileTooLarge, ProviderError, ProviderFailure
from consignee.providers.base import Checkpoint
from consignee.providers.gcs_resumable import LONGEST, piece_size
from fakes import google as faults
from fakes.google import Fault
from fakes.google_sessions import QUANTUM, WEEK
from fakes.scripted import Answer, Request, Responder
from providers.google_place import BODY, DATA, PARTS, Place, broken_off, first_of, nth, opened_place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A bucket that is open."""
    async with opened_place() as place:
        yield place


async def test_pieces_are_sent_one_after_the_other(place: Place) -> None:
    """Without the token, as the address is enough; and the session is told length and digest when it begins."""
    await place.bucket.put("a folder/large", BODY)
    assert place.objects == {"a folder/large": DATA}
    starts = [0, QUANTUM, 2 * QUANTUM, 3 * QUANTUM]
    assert place.sent_ranges() == [f"{one}-{min(one + QUANTUM, len(DATA)) - 1}" for one in starts]
    begin, *pieces = place.server.requests[1:]
    assert (begin.method, begin.headers["x-upload-content-length"]) == ("POST", str(len(DATA)))
    assert not any("authorization" in request.headers for request in pieces)


async def test_what_is_not_large_goes_in_one_request(place: Place) -> None:
    await place.bucket.put("small", BytesBody(DATA[: PARTS.threshold]))
    assert place.sent == []
    assert place.objects == {"small": DATA[: PARTS.threshold]}


@pytest.mark.parametrize(("wanted", "size"), [(1, 1), (QUANTUM, 1), (QUANTUM + 1, 2), (5 * QUANTUM, 5)])
def test_a_piece_is_a_multiple_of_256_kib(wanted: int, size: int) -> None:
    assert piece_size(wanted) == size * QUANTUM


@pytest.mark.parametrize("fault", [faults.unavailable, faults.throttled, faults.internal_error])
async def test_a_piece_that_failed_is_sent_again_alone(place: Place, fault: Fault) -> None:
    place.google.storage_fault = nth(2, fault)
    await place.bucket.put("large", BODY)
    assert place.objects == {"large": DATA}
    assert place.sent_ranges() == [
        *(f"0-{QUANTUM - 1}", f"{QUANTUM}-{2 * QUANTUM - 1}", "*", f"{QUANTUM}-{2 * QUANTUM - 1}"),
        *(f"{2 * QUANTUM}-{3 * QUANTUM - 1}", f"{3 * QUANTUM}-{len(DATA) - 1}"),
    ]


async def test_a_piece_whose_answer_was_lost_is_not_sent_again(place: Place, tmp_path: Path) -> None:
    place.google.storage_fault = nth(2, faults.cut_off)
    (tmp_path / "large").write_bytes(DATA)
    await place.bucket.put("large", FileBody(tmp_path / "large", BODY.length, BODY.md5, BODY.sha256))
    assert place.objects == {"large": DATA}
    assert place.sent_ranges().count(f"{QUANTUM}-{2 * QUANTUM - 1}") == 1


async def test_a_final_answer_that_was_lost_is_asked_for(place: Place) -> None:
    place.google.storage_fault = nth(4, faults.cut_off)
    await place.bucket.put("large", BODY)
    assert place.objects == {"large": DATA}
    assert place.sent_ranges()[-2:] == [f"{3 * QUANTUM}-{len(DATA) - 1}", "*"]


async def test_a_part_of_a_piece_that_was_kept_is_not_sent_again(place: Place) -> None:
    place.google.sessions.keeps = QUANTUM
    place.bucket._parts = replace(PARTS, size=2 * QUANTUM)  # type: ignore[attr-defined]
    await place.bucket.put("large", BODY)
    assert place.objects == {"large": DATA}
    assert [span.partition("-")[0] for span in place.sent_ranges()] == [str(one * QUANTUM) for one in range(4)]


async def test_after_so_many_tries_without_progress_it_fails_and_nothing_stays(place: Place) -> None:
    place.google.sessions.keeps = 0
    place.google.storage_fault = first_of(*[faults.unavailable] * 3)
    with pytest.raises(ProviderError):
        await place.bucket.put("large", BODY)
    assert [method for method, _ in place.sent] == ["PUT"] * 3 + ["DELETE"]
    assert place.google.sessions.unfinished() == []


async def test_who_asks_for_a_long_pause_is_left_alone_until_the_next_attempt(place: Place) -> None:
    """And goes on then: the delivery hears how long that is."""
    checkpoint = Checkpoint()
    place.google.storage_fault = nth(2, lambda *_: Answer(503, {"Retry-After": "3600"}))
    with pytest.raises(ProviderFailure) as failed:
        await place.bucket.put("large", BODY, checkpoint)
    assert (failed.value.transient, failed.value.retry_after) == (True, 3600)
    assert len(place.sent) == 2
    await place.bucket.put("large", BODY, checkpoint)
    assert place.objects == {"large": DATA}


async def test_a_storage_that_keeps_nothing_is_not_asked_for_ever(place: Place) -> None:
    def nothing(request: Request, responder: Responder) -> Answer:
        return Answer(308, {"Content-Length": "0"}) if request.method == "PUT" else responder(request)

    place.google.storage_fault = nothing
    with pytest.raises(ProviderError, match="did not keep"):
        await place.bucket.put("large", BODY)
    assert len(place.sent) < 10
    assert place.google.sessions.unfinished() == []


async def test_another_attempt_goes_on_where_the_storage_is(place: Place) -> None:
    """It has only the state."""
    checkpoint = await broken_off(place)
    await place.bucket.put("large", BODY, Checkpoint(checkpoint.state))
    assert place.objects == {"large": DATA}
    assert place.sent_ranges() == [
        "*",
        f"{2 * QUANTUM}-{3 * QUANTUM - 1}",
        f"{3 * QUANTUM}-{len(DATA) - 1}",
    ]


async def test_an_upload_that_was_complete_is_done(place: Place) -> None:
    checkpoint = Checkpoint()
    await place.bucket.put("large", BODY, checkpoint)
    place.server.requests.clear()
    await place.bucket.put("large", BODY, checkpoint)
    assert place.sent_ranges() == ["*"]


async def test_an_expired_session_is_begun_anew(place: Place) -> None:
    checkpoint = await broken_off(place)
    for session in place.google.sessions.open.values():
        session.until -= WEEK
    before = checkpoint.state["session"]
    await place.bucket.put("large", BODY, checkpoint)
    assert place.objects == {"large": DATA}
    assert checkpoint.state["session"] != before


async def test_an_unknown_session_is_begun_anew(place: Place) -> None:
    checkpoint = await broken_off(place)
    place.google.sessions.open.clear()
    await place.bucket.put("large", BODY, checkpoint)
    assert place.objects == {"large": DATA}


async def test_a_new_session_that_is_forgotten_is_a_failure_for_later(place: Place) -> None:
    """And not begun anew for ever."""
    checkpoint = Checkpoint()

    def forgetting(request: Request, responder: Responder) -> Answer:
        place.google.sessions.open.clear()
        return responder(request)

    place.google.storage_fault = nth(2, forgetting)
    with pytest.raises(ProviderError, match="forgotten"):
        await place.bucket.put("large", BODY, checkpoint)
    assert checkpoint.state == {}


async def test_a_checkpoint_of_another_content_is_abandoned(place: Place) -> None:
    checkpoint = await broken_off(place)
    other = BytesBody(DATA[::-1])
    await place.bucket.put("large", other, checkpoint)
    assert place.objects == {"large": DATA[::-1]}
    assert place.sent[0][0] == "DELETE"
    assert place.google.sessions.unfinished() == []


async def test_a_checkpoint_keeps_what_failed_and_abandoning_ends_it(place: Place) -> None:
    """As often as it is asked for, also when the session has expired."""
    checkpoint = await broken_off(place)
    assert place.google.sessions.unfinished() == ["large"]
    for _ in range(2):
        await place.bucket.abandon("large", checkpoint.state)
    assert place.google.sessions.unfinished() == []
    await place.bucket.abandon("large", {})
    assert [method for method, _ in place.sent] == ["DELETE", "DELETE"]


async def test_a_checkpoint_that_can_not_be_saved_leaves_no_session(place: Place) -> None:
    class Full(Checkpoint):
        async def save(self, state: Mapping[str, Any]) -> None:
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        await place.bucket.put("large", BODY, Full())
    assert place.google.sessions.unfinished() == []


class ShorterBody(BytesBody):
    """A file that lost its end after it was looked at."""

    async def part(self, offset: int, length: int) -> Body:
        if offset:
            raise ValueError("the file is shorter than it was")
        return await super().part(offset, length)


async def test_a_body_that_can_not_be_read_is_not_the_storages_fault(place: Place) -> None:
    with pytest.raises(ValueError, match="shorter"):
        await place.bucket.put("large", ShorterBody(DATA))
    assert place.google.sessions.unfinished() == []


async def test_another_content_than_was_announced_makes_no_object(place: Place) -> None:
    """A file that changed since its digest was taken: what is there is not replaced by it."""
    body, checkpoint = BytesBody(DATA), Checkpoint()
    body.md5 = bytes(16)
    place.objects["large"] = b"before"
    with pytest.raises(ProviderError, match="as it was sent"):
        await place.bucket.put("large", body, checkpoint)
    assert place.objects == {"large": b"before"}
    assert (checkpoint.state, place.google.sessions.unfinished()) == ({}, [])


async def test_a_bucket_that_is_not_there_is_told_when_the_session_begins() -> None:
    async with opened_place("no-such-bucket") as place:
        with pytest.raises(BucketNotFound):
            await place.bucket.put("large", BODY)
        assert place.sent == []


async def test_an_object_may_have_5_tib(place: Place) -> None:
    body = BytesBody(b"")
    body.length = LONGEST + 1
    with pytest.raises(FileTooLarge):
        await place.bucket.put("large", body)
    assert place.server.requests == []


async def test_a_cancelled_upload_leaves_no_session(place: Place) -> None:
    place.google.storage_fault = nth(2, faults.hanging)
    putting = asyncio.create_task(place.bucket.put("large", BODY))
    async with asyncio.timeout(10):
        while len(place.sent) < 2:
            await asyncio.sleep(0.01)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert place.google.sessions.unfinished() == []
