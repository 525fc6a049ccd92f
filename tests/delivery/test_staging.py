"""The files of result sets in a bucket: what is asked of it, and what becomes of it when it fails."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consignee.delivery.staging import Staging
from consignee.delivery.staging_layout import Layout
from consignee.delivery.staging_notes import KIND
from consignee.errors import FileDamaged, InvalidRequest, ProviderFailure, StoreError
from delivery.spooling import arriving
from delivery.stage import PIECE, Stage, lasting, passing, read, staged, taken_in

CONTENT = bytes(range(256)) * 1000
"""Of four pieces."""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """An empty bucket, and a store."""
    async with staged() as made:
        yield made


@pytest.fixture
async def staging(stage: Stage) -> AsyncIterator[Staging]:
    """What one process has of it."""
    async with stage.process() as made:
        yield made


async def test_many_small_files_are_one_object_under_the_prefix(stage: Stage, staging: Staging) -> None:
    token, _ = await taken_in(staging, *(b"%d" % number for number in range(500)))
    assert list(stage.shelf.listed()) == [f"area/one/{token}/0"]


async def test_a_large_set_is_cut_into_pieces_of_one_size(stage: Stage, staging: Staging) -> None:
    token, _ = await taken_in(staging, b"small", CONTENT)
    assert list(stage.shelf.listed()) == [f"area/one/{token}/{number}" for number in range(4)]
    pieces = stage.shelf.listed().values()
    assert [len(piece) for piece in pieces] == [PIECE] * 3 + [256_005 - 3 * PIECE]
    assert b"".join(pieces) == b"small" + CONTENT


async def test_a_set_of_empty_files_needs_no_object(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, b"", b"")
    assert (stage.shelf.asked, [await read(staging, token, about, number) for number in (0, 1)]) == ([], [b"", b""])


async def test_pieces_are_written_while_the_files_arrive(stage: Stage, staging: Staging) -> None:
    """So that no more than one of them is in memory."""
    held = []

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(CONTENT), 1000):
            held.append(start - sum(map(len, stage.shelf.objects.values())))
            yield CONTENT[start : start + 1000]

    async with staging.intake() as intake:
        await intake.add("a", slowly())
        assert len(stage.shelf.objects) == 3
        await intake.keep()
    assert max(held) <= PIECE + 256 * 1024


async def test_small_files_that_lie_together_are_read_with_one_request(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, *(b"%d" % number for number in range(16)), bytes(100_000), b"last")
    stage.shelf.asked.clear()
    found = await staging.stored(token, about).contents([*range(16), 17])
    assert len(found) == 17
    assert [asked[0] for asked in stage.shelf.asked] == ["read", "read"]


async def test_nothing_is_read_of_a_file_but_what_is_asked_for(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, b"small", CONTENT)
    stage.shelf.asked.clear()
    section = staging.stored(token, about).body(1).section(PIECE, 10)
    assert b"".join([chunk async for chunk in section.chunks()]) == CONTENT[PIECE : PIECE + 10]
    assert stage.shelf.asked == [("read", f"area/one/{token}/1", 5, 10)]


@pytest.mark.parametrize("number", range(4))
async def test_a_flipped_bit_in_any_piece_never_arrives_as_if_it_were_right(
    stage: Stage, staging: Staging, number: int
) -> None:
    token, about = await taken_in(staging, CONTENT)
    key = f"area/one/{token}/{number}"
    content = bytearray(stage.shelf.objects[key])
    content[len(content) // 2] ^= 1
    stage.shelf.objects[key] = bytes(content)
    body, came = staging.stored(token, about).body(0), bytearray()

    async def receive() -> None:
        async for chunk in body.chunks():
            came.extend(chunk)

    with pytest.raises(FileDamaged, match="damaged in the staging bucket"):
        await receive()
    assert len(came) < len(CONTENT)
    with pytest.raises(FileDamaged):
        await body.verify()


async def test_a_damaged_small_file_is_left_out_and_its_body_says_why(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, b"first", b"second")
    stage.shelf.objects[f"area/one/{token}/0"] = b"firstSecond"
    stored = staging.stored(token, about)
    assert list(await stored.contents([0, 1])) == [0]
    with pytest.raises(FileDamaged):
        await stored.body(1).verify()


@pytest.mark.parametrize("left", [0, 100])
async def test_a_piece_that_is_gone_or_became_shorter_is_a_damaged_file(
    stage: Stage, staging: Staging, left: int
) -> None:
    token, about = await taken_in(staging, CONTENT)
    key = f"area/one/{token}/2"
    stage.shelf.objects[key] = stage.shelf.objects[key][:left]
    with pytest.raises(FileDamaged, match="not in the staging bucket any more"):
        await read(staging, token, about, 0)
    assert await staging.stored(token, about).contents([0]) == {}


async def test_a_reading_that_breaks_off_goes_on_where_it_was(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, CONTENT)
    stage.shelf.asked.clear()
    stage.shelf.breaks = [3000, 10_000, 500]
    assert await read(staging, token, about, 0) == CONTENT
    assert [asked[2] for asked in stage.shelf.asked] == [0, 3000, 13_000, 13_500, 0, 0, 0]


async def test_what_may_pass_is_tried_again(stage: Stage, staging: Staging) -> None:
    """Each time twice, whatever is asked for."""
    stage.shelf.faults = [passing(), passing(), None]
    token, about = await taken_in(staging, b"content")
    stage.shelf.faults = [passing(), passing(), None]
    assert await read(staging, token, about, 0) == b"content"
    stage.shelf.faults = [passing(), passing(), None]
    await staging.release(token, about)
    assert stage.shelf.objects == {}
    assert stage.shelf.faults == []


@pytest.mark.parametrize("failure", [passing(), lasting()], ids=lambda failure: failure.code)
async def test_a_failure_is_never_told_as_one_of_a_customers_storage(
    stage: Stage, staging: Staging, failure: ProviderFailure
) -> None:
    """It would count against a destination that is well."""
    token, about = await taken_in(staging, b"content")
    stage.shelf.broken = failure
    for failing in (
        taken_in(staging, b"other"),
        read(staging, token, about, 0),
        staging.release(token, about),
    ):
        with pytest.raises(StoreError, match=f"the staging bucket answers {failure.code}"):
            await failing
    stage.shelf.broken = None
    assert await read(staging, token, about, 0) == b"content"


async def test_what_is_not_kept_leaves_nothing(stage: Stage, staging: Staging) -> None:
    """Neither after a refusal, nor when the client goes away."""
    async with staging.intake(reserved=["b"]) as intake:
        await intake.add("a", arriving(CONTENT))
        with pytest.raises(InvalidRequest):
            await intake.add("b", arriving(CONTENT))
    async with staging.intake() as intake:
        await intake.add("a", arriving(CONTENT))
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_an_upload_that_is_cancelled_is_removed_now_and_once_more_later(stage: Stage, staging: Staging) -> None:
    """What was sent without an answer may still appear: the note stays until nothing can any more."""
    reached = asyncio.Event()

    async def take_in() -> None:
        async with staging.intake() as intake:
            await intake.add("a", arriving(CONTENT))

    stage.shelf.on_put = lambda key: reached.set() if key.endswith("/1") else None
    task = asyncio.create_task(take_in())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (token,) = await stage.store.ids(KIND, "")
    assert stage.shelf.objects == {}
    stage.shelf.objects[f"area/one/{token}/1"] = b"late"
    await tidied(stage, staging)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def tidied(stage: Stage, staging: Staging) -> None:
    """Let so much time pass that whatever does not change is taken for dead, and tidy up all the while."""

    async def named(account: str, collection_id: str, token: str) -> bool:
        return False

    for _ in range(6):
        await staging.tidy(named)
        stage.time += 60
    await staging.tidy(named)


async def test_no_more_pieces_are_in_memory_than_there_is_room_for(stage: Stage) -> None:
    """And one account has three quarters of it at most, so that others get on."""
    got, gate = Counter[str](), asyncio.Event()

    async def held_up(account: str) -> AsyncIterator[bytes]:
        yield bytes(300_000)
        got[account] += 1
        await gate.wait()
        yield bytes(300_000)

    async def send(staging: Staging, account: str) -> None:
        async with staging.intake(account=account) as intake:
            await intake.add("a", held_up(account))
            await intake.keep()

    async with stage.process(piece=512 * 1024, room=4) as staging:
        tasks = [asyncio.create_task(send(staging, account)) for account in ["ann"] * 8 + ["bob"] * 2]
        async with asyncio.timeout(10):
            while got.total() < 4:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert got == {"ann": 3, "bob": 1}
        gate.set()
        await asyncio.gather(*tasks)
    assert got == {"ann": 8, "bob": 2}
    assert len(stage.shelf.objects) == 10 * 2


async def test_reading_that_is_left_early_ends_the_request(stage: Stage, staging: Staging) -> None:
    token, about = await taken_in(staging, CONTENT)
    chunks = staging.stored(token, about).body(0).chunks()
    async with aclosing(chunks) as reading:  # type: ignore[type-var]
        assert CONTENT.startswith(await anext(reading))
    assert len([asked for asked in stage.shelf.asked if asked[0] == "read"]) == 1


async def test_a_closed_bucket_refuses(stage: Stage) -> None:
    async with stage.process() as staging:
        token, about = await taken_in(staging, b"x")
    await staging.close()
    with pytest.raises(StoreError, match="closed"):
        await read(staging, token, about, 0)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 70_000), min_size=1, max_size=7),
    piece=st.integers(1000, 90_000),
    data=st.data(),
)
async def test_any_files_in_pieces_of_any_size_are_read_as_they_were(
    sizes: list[int], piece: int, data: st.DataObject
) -> None:
    """From any offset; and no object is written that a release does not remove."""
    contents = [random.Random(size).randbytes(size) for size in sizes]
    async with staged() as stage, stage.process(piece=piece) as staging:
        token, about = await taken_in(staging, *contents)
        assert len(stage.shelf.objects) == Layout(sizes).pieces(piece)
        for number, content in enumerate(contents):
            offset = data.draw(st.integers(0, len(content)))
            body = staging.stored(token, about).body(number)
            assert b"".join([chunk async for chunk in body.chunks(offset)]) == content[offset:]
            assert await read(staging, token, about, number) == content
        await staging.release(token, about)
        assert stage.shelf.objects == {}
