"""What a process leaves in a staging bucket that ends too early is found without any list; and nothing else is removed."""

from collections.abc import AsyncIterator

import pytest

from consignee.delivery.staging import Staging
from consignee.delivery.staging_notes import KIND
from consignee.errors import StoreError
from consignee.store import Data, Document
from consignee.store.memory import MemoryStore
from delivery.spooling import arriving
from delivery.stage import PIECE, Stage, dies_while_taking_in, lasting, read, staged, taken_in

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """An empty bucket, and a store."""
    async with staged() as made:
        yield made


@pytest.fixture
async def other(stage: Stage) -> AsyncIterator[Staging]:
    """The process that tidies up."""
    async with stage.process() as made:
        yield made


async def nobody(account: str, collection_id: str, token: str) -> bool:
    """No result set has any token."""
    return False


async def minutes(stage: Stage, count: int, *processes: Staging, tidies: Staging) -> None:
    """Let so many minutes pass; the processes live, and one tidies up in each minute."""
    for _ in range(count):
        stage.time += 60
        for one in processes:
            await one._notes.renew()
        await tidies.tidy(nobody)


async def test_a_set_is_noted_before_its_first_piece_is_written(stage: Stage) -> None:
    """And for at least as many pieces as there are, at any moment."""
    stage.store = saves = Watched()
    await saves.open()
    spoken_for: list[tuple[int, int]] = []
    stage.shelf.on_put = lambda key: spoken_for.append((int(key.rpartition("/")[2]), saves.pieces[-1]))
    async with stage.process() as staging, staging.intake(account="ann", collection_id="C") as intake:
        await intake.add("a", arriving(*[bytes(PIECE)] * 20))
        (document,) = await saves.list(KIND, "")
        assert (document.data["account"], document.data["collection_id"], document.id) == ("ann", "C", intake.token)
        await intake.keep()
    assert [number for number, _ in spoken_for] == list(range(20))
    assert all(number < pieces for number, pieces in spoken_for)
    assert saves.pieces == [8, 16, 32]


class Watched(MemoryStore):
    """Remembers for how many pieces notes spoke."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[int] = []

    async def save(self, kind: str, account: str, id: str, data: Data, **more: int) -> Document:  # type: ignore[override]  # noqa: A002
        if kind == KIND:
            self.pieces.append(data["pieces"])
        return await super().save(kind, account, id, data, **more)


async def test_a_set_that_is_saved_has_no_note(stage: Stage, other: Staging) -> None:
    token, about = await taken_in(other, CONTENT)
    assert await stage.store.ids(KIND, "") == []
    await minutes(stage, 10, tidies=other)
    assert await read(other, token, about, 0) == CONTENT


@pytest.mark.parametrize("kept", [False, True])
async def test_what_a_dead_process_left_is_removed(stage: Stage, other: Staging, *, kept: bool) -> None:
    async with stage.process() as dead:
        await dies_while_taking_in(dead, CONTENT, kept=kept)
    assert len(stage.shelf.objects) == 3 + kept
    await minutes(stage, 5, tidies=other)
    assert len(stage.shelf.objects) == 3 + kept, "it may still be alive"
    await minutes(stage, 1, tidies=other)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_what_a_living_process_takes_in_stays_however_long_that_takes(stage: Stage, other: Staging) -> None:
    async with stage.process() as slow, slow.intake() as intake:
        first = await intake.add("a", arriving(CONTENT))
        await minutes(stage, 30, slow, tidies=other)
        token = await intake.keep()
        await minutes(stage, 30, slow, tidies=other)
        await slow.settle(token)
    await minutes(stage, 10, tidies=other)
    assert await read(other, token, [first], 0) == CONTENT


async def test_its_own_sets_are_never_taken_for_dead(stage: Stage, other: Staging) -> None:
    """Although its event loop may have stood still for an hour."""
    async with other.intake() as intake:
        file = await intake.add("a", arriving(CONTENT))
        await minutes(stage, 60, tidies=other)
        token = await intake.keep()
    await other.settle(token)
    assert await read(other, token, [file], 0) == CONTENT


async def test_a_process_that_was_taken_for_dead_finds_that_out(stage: Stage, other: Staging) -> None:
    """When it says that the result set is saved, so that nothing is delivered of it, or when it goes on."""
    async with stage.process() as slow:
        async with slow.intake() as intake:
            await intake.add("a", arriving(CONTENT))
            token = await intake.keep()
            await minutes(stage, 7, tidies=other)
            with pytest.raises(StoreError, match="took this one for dead"):
                await slow.settle(token)
            await slow.remove(token)
        async with slow.intake() as intake:
            await intake.add("a", arriving(CONTENT[: 2 * PIECE]))
            await minutes(stage, 7, tidies=other)
            with pytest.raises(StoreError, match="took this one for dead"):
                await intake.add("b", arriving(CONTENT * 3))
    await minutes(stage, 10, tidies=other)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_the_files_of_a_result_set_that_was_saved_in_the_last_moment_stay(stage: Stage, other: Staging) -> None:
    """Its process died before it could remove the note."""
    asked = []

    async def named(account: str, collection_id: str, token: str) -> bool:
        asked.append((account, collection_id, token))
        return True

    async with stage.process() as dead:
        token = await dies_while_taking_in(dead, CONTENT, kept=True)
    for _ in range(8):
        await other.tidy(named)
        stage.time += 60
    assert asked == [("ann", "C", token)]
    assert (len(stage.shelf.objects), await stage.store.ids(KIND, "")) == (4, [])


async def test_nobody_is_taken_for_dead_who_could_not_renew_a_note(stage: Stage, other: Staging) -> None:
    """While the store was away, nobody could; whoever tidies looks for five minutes after it is back."""
    async with stage.process() as living:
        async with living.intake() as intake:
            await intake.add("a", arriving(CONTENT))
            await minutes(stage, 4, tidies=other)
            stage.time += 3600
            await minutes(stage, 4, tidies=other)
            assert len(stage.shelf.objects) == 3
            token = await intake.keep()
        await living.settle(token)
    assert len(stage.shelf.objects) == 4


async def test_what_can_not_be_removed_now_is_removed_later(stage: Stage, other: Staging) -> None:
    """Also by another process, if the one that had begun is gone."""
    async with stage.process() as dead:
        await dies_while_taking_in(dead, CONTENT)
    await minutes(stage, 5, tidies=other)
    stage.shelf.broken = lasting()
    with pytest.raises(StoreError):
        await minutes(stage, 1, tidies=other)
    stage.shelf.broken = None
    assert len(await stage.store.ids(KIND, "")) == 1
    async with stage.process() as another:
        await minutes(stage, 7, tidies=another)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_a_bucket_that_fails_while_files_arrive_leaves_a_note_of_what_it_may_hold(
    stage: Stage, other: Staging
) -> None:
    stage.shelf.faults = [None, lasting(), lasting()]
    with pytest.raises(StoreError):
        await taken_in(other, CONTENT)
    stage.shelf.faults.clear()
    assert len(stage.shelf.objects) == 1
    async with stage.process() as another:
        await minutes(stage, 7, tidies=another)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_a_set_whose_note_can_not_be_saved_is_refused_before_anything_is_written(
    stage: Stage, other: Staging
) -> None:
    await stage.store.close()
    with pytest.raises(StoreError):
        await taken_in(other, CONTENT)
    assert stage.shelf.asked == []
    await stage.store.open()


async def test_two_processes_that_tidy_at_once_harm_nothing(stage: Stage, other: Staging) -> None:
    async with stage.process() as dead:
        await dies_while_taking_in(dead, CONTENT)
    async with stage.process() as another:
        for _ in range(8):
            stage.time += 60
            await other.tidy(nobody)
            await another.tidy(nobody)
    assert (stage.shelf.objects, await stage.store.ids(KIND, "")) == ({}, [])


async def test_a_token_is_given_once(stage: Stage) -> None:
    async with stage.process(random=bytes) as staging, staging.intake():
        with pytest.raises(StoreError, match="given before"):
            await taken_in(staging, b"x")


async def test_a_set_of_which_nobody_knows_whether_it_was_saved_is_judged_later(stage: Stage, other: Staging) -> None:
    """A store that fails at a commit may have made it: what has a result set must never be removed, what has none must be."""
    tokens = []
    for _ in range(2):
        async with other.intake() as intake:
            await intake.add("a", arriving(b"content"))
            tokens.append(await intake.keep())
        await other.remove(intake.token)
    assert len(stage.shelf.objects) == 2

    async def named(account: str, collection_id: str, token: str) -> bool:
        return token == tokens[0]

    for _ in range(7):
        await other.tidy(named)
        stage.time += 60
    assert list(stage.shelf.objects) == [f"area/one/{tokens[0]}/0"]
    assert await stage.store.ids(KIND, "") == []
