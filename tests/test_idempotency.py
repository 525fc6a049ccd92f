"""What is asked under a key is made at most once, whatever fails or ends in between."""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consignee.agenda import Agenda
from consignee.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    RateLimited,
    StoreError,
)
from consignee.idempotency import SWEEP, Answer, Idempotency
from consignee.precedents import KIND, Precedents, Subject
from consignee.resealing import Resealing
from consignee.secret import Sealer
from consignee.store.json_file import JsonFileStore
from delivery.depot import FrailStore
from racing import RacyStore
from timers import Timers

BOX = "boxes"
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Desk:
    """A service that makes boxes, and says what it made; what is in `fails` is raised in place of the next one.

    What is in `answer_fails` is raised when one was made, in place of the answer; then saves `then_failing` fail.
    """

    store: FrailStore = field(default_factory=FrailStore)
    most: int = 100
    now: datetime = BEGAN
    fails: list[BaseException] = field(default_factory=list)
    then_failing: set[str] = field(default_factory=set)
    answer_fails: list[BaseException] = field(default_factory=list)
    long: int = 0
    made: list[str] = field(default_factory=list)
    idempotency: Idempotency = field(init=False)

    def start(self) -> None:
        """Begin anew with what is in the store."""
        sealer = Sealer(b"k" * 32)
        self.idempotency = Idempotency(Precedents(self.store, sealer=sealer, most=self.most, now=lambda: self.now))

    async def ask(
        self, key: str, content: bytes = b"a box", *, account: str = "ann", scope: str = BOX, box: str = ""
    ) -> Answer:
        """Ask for a box with a key."""

        async def make(unused: str) -> bytes:
            if self.fails:
                raise self.fails.pop()
            await self.store.save(BOX, account, unused, {"of": content.decode(), "token": unused})
            self.made.append(unused)
            self.store.failing |= self.then_failing
            if self.answer_fails:
                raise self.answer_fails.pop()
            return self._told(unused)

        async def recall(made: str) -> bytes:
            if await self.store.get(BOX, account, made) is None:
                raise NotFound("There is no such box.")
            return self._told(made)

        with self.idempotency.claim(account, scope, key) as claim:
            subject = Subject(BOX, box or f"BOX{len(self.made):05d}")
            return await claim.answer(content, subject, make=make, recall=recall)

    def _told(self, made: str) -> bytes:
        return json.dumps({"box": made, "rest": "é" * self.long}, ensure_ascii=False).encode()

    async def remembered(self, account: str = "ann") -> int:
        """How many keys of an account are in the store."""
        return await self.store.count(KIND, account)


@pytest.fixture
async def desk() -> Desk:
    """A service with nothing in it."""
    made = Desk()
    await made.store.open()
    made.start()
    return made


async def test_the_same_request_is_answered_alike_and_made_once(desk: Desk) -> None:
    first = await desk.ask("k")
    second = await desk.ask("k")
    assert (first.repeated, second.repeated) == (False, True)
    assert first.body == second.body and len(desk.made) == 1


async def test_the_answer_stays_as_it_was_when_what_was_made_is_changed_or_removed(desk: Desk) -> None:
    first = await desk.ask("k")
    await desk.store.remove(BOX, "ann", desk.made[0], replaces=1)
    desk.start()
    assert (await desk.ask("k")).body == first.body and len(desk.made) == 1


async def test_another_request_with_a_used_key_is_refused(desk: Desk) -> None:
    await desk.ask("k")
    with pytest.raises(IdempotencyKeyReused):
        await desk.ask("k", b"another box")
    assert len(desk.made) == 1


async def test_a_key_belongs_to_its_account_and_to_what_it_was_used_for(desk: Desk) -> None:
    for account, scope in (("ann", BOX), ("bob", BOX), ("ann", "lids")):
        assert not (await desk.ask("k", account=account, scope=scope)).repeated
    assert len(desk.made) == 3


async def test_who_asks_while_the_first_is_served_is_told_so(desk: Desk) -> None:
    with desk.idempotency.claim("ann", BOX, "k"):
        with pytest.raises(Conflict):
            await desk.ask("k")
        assert not (await desk.ask("k", account="bob")).repeated
    assert not (await desk.ask("k")).repeated


async def test_a_failure_is_not_remembered(desk: Desk) -> None:
    """The customer mends the request, and sends it with the same key."""
    desk.fails = [InvalidRequest({"name": ["is required"]})]
    with pytest.raises(InvalidRequest):
        await desk.ask("k", b"bad")
    assert await desk.remembered() == 0
    assert not (await desk.ask("k", b"good")).repeated
    assert len(desk.made) == 1


async def test_what_was_made_is_remembered_even_if_its_answer_failed(desk: Desk) -> None:
    desk.answer_fails = [StoreError("the disk failed")]
    with pytest.raises(StoreError):
        await desk.ask("k")
    assert (await desk.ask("k")).repeated and len(desk.made) == 1
    with pytest.raises(IdempotencyKeyReused):
        await desk.ask("k", b"another box")


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "after a restart"])
@pytest.mark.parametrize("made", [False, True], ids=["before it was made", "after it was made"])
async def test_an_end_in_the_middle_leaves_no_doubt(desk: Desk, made: bool, restarted: bool) -> None:
    """Neither a second one is made, nor is a first one missing; the key is held for what was made with it."""
    (desk.answer_fails if made else desk.fails).append(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await desk.ask("k")
    assert await desk.remembered() == 1
    if restarted:
        desk.start()
        await desk.idempotency.open()
        assert await desk.remembered() == made
    answer = await desk.ask("k")
    assert answer.repeated is made and len(desk.made) == 1
    assert (await desk.ask("k")).body == answer.body


async def test_after_an_end_before_it_was_made_the_key_may_come_with_another_request(desk: Desk) -> None:
    desk.fails = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await desk.ask("k")
    assert not (await desk.ask("k", b"another box")).repeated


async def test_who_was_cut_off_and_the_repetition_make_it_under_one_id(desk: Desk) -> None:
    """Else the save of who was cut off could still come through beside the other's."""
    desk.fails = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await desk.ask("k", box="FIRST")
    await desk.ask("k", box="SECOND")
    assert desk.made == ["FIRST"]


async def test_what_was_made_before_the_end_and_removed_since_is_not_made_again(desk: Desk) -> None:
    desk.answer_fails = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await desk.ask("k")
    desk.start()
    await desk.idempotency.open()
    await desk.store.remove(BOX, "ann", desk.made[0], replaces=1)
    with pytest.raises(Conflict, match="removed since"):
        await desk.ask("k")
    assert len(desk.made) == 1


async def test_an_answer_too_large_to_keep_is_composed_anew(desk: Desk) -> None:
    """Of these, an account may have thousands, and all of them are in memory."""
    desk.long = 2048
    first = await desk.ask("k")
    assert (await desk.ask("k")) == Answer(first.body, repeated=True)
    (kept,) = await desk.store.list(KIND, "ann")
    assert len(json.dumps(dict(kept.data))) < 1000 and len(desk.made) == 1


async def test_what_has_no_id_yet_is_found_by_its_token(desk: Desk) -> None:
    """Only behind what was there before."""
    for number, token in enumerate(("x", "wanted", "y", "wanted"), 1):
        await desk.store.save(BOX, "ann", f"SHOP.{number}", {"token": token})
    precedents = Precedents(desk.store, sealer=Sealer(b"k" * 32), most=1)
    found = [await precedents.made("ann", Subject(BOX, f"SHOP.{behind}", "wanted")) for behind in range(5)]
    assert found == [Subject(BOX, f"SHOP.{number}") if number else None for number in (2, 2, 4, 4, 0)]


async def test_a_disk_that_fails_after_the_work_costs_nothing_but_the_kept_answer(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.then_failing = {KIND}
    first = await desk.ask("k")
    assert "could not be kept" in caplog.text
    desk.store.failing = set()
    assert (await desk.ask("k")) == Answer(first.body, repeated=True) and len(desk.made) == 1


async def test_nothing_is_made_if_it_could_not_be_remembered(desk: Desk) -> None:
    desk.store.failing = {KIND}
    with pytest.raises(StoreError):
        await desk.ask("k")
    assert desk.made == []


async def test_after_a_day_a_key_is_new(desk: Desk) -> None:
    await desk.ask("k")
    desk.now += timedelta(hours=24) - timedelta(seconds=1)
    assert (await desk.ask("k")).repeated
    desk.now += timedelta(seconds=1)
    assert not (await desk.ask("k", b"another box")).repeated
    assert await desk.remembered() == 1


async def test_what_is_a_day_old_is_removed_in_the_background(desk: Desk) -> None:
    """Also what was there before a restart; what is in use stays until the next time."""
    timers = Timers()
    for key in ("old", "in use"):
        await desk.ask(key)
    desk.start()
    await desk.idempotency.open()
    desk.idempotency.start(Agenda(timers))
    desk.now += timedelta(hours=23)
    await desk.ask("young")
    desk.now += timedelta(hours=1)
    with desk.idempotency.claim("ann", BOX, "in use"):
        await timers.advance(SWEEP)
        assert await desk.remembered() == 2
    await timers.advance(SWEEP)
    assert await desk.remembered() == 1


async def test_a_removal_that_fails_is_tried_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    timers = Timers()
    await desk.ask("k")
    desk.idempotency.start(Agenda(timers))
    desk.now += timedelta(days=2)
    await desk.store.close()
    await timers.advance(SWEEP)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await desk.store.open()
    await timers.advance(SWEEP)
    assert await desk.remembered() == 0


async def test_an_account_has_only_so_many_keys_and_hears_when_it_may_have_another(desk: Desk) -> None:
    desk.most = 2
    desk.start()
    await desk.ask("one")
    desk.now += timedelta(hours=1)
    await desk.ask("two")
    with pytest.raises(RateLimited) as caught:
        await desk.ask("three")
    assert caught.value.retry_after == 23 * 3600 and len(desk.made) == 2
    assert (await desk.ask("one")).repeated
    assert not (await desk.ask("three", account="bob")).repeated


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "after a restart"])
async def test_such_a_refusal_costs_the_same_however_many_keys_there_are(desk: Desk, restarted: bool) -> None:
    """And it names the time of the oldest, also if that was made anew meanwhile, or the store has them in another order."""
    work = []
    for account, many in (("ann", 10), ("bob", 500)):
        desk.most = many
        desk.start()
        began, desk.fails = desk.now, [asyncio.CancelledError()]
        with suppress(asyncio.CancelledError):
            await desk.ask("0", account=account, box="NEVER")
        for number in [*range(1, many), 0]:
            desk.now += timedelta(seconds=1)
            await desk.ask(str(number), account=account)
        if restarted:
            desk.start()
            await desk.idempotency.open()
        with pytest.raises(RateLimited) as caught:
            await desk.ask("more", account=account)
        assert caught.value.retry_after == (began + timedelta(days=1, seconds=1) - desk.now).total_seconds()
        work.append(await calls(desk, account))
    assert work[1] < work[0] + 100


async def calls(desk: Desk, account: str) -> int:
    """Return how many functions are called and generators gone on with, until one too many is refused."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with suppress(RateLimited):
            await desk.ask("yet more", account=account)
    finally:
        sys.setprofile(before)
    return count


async def test_the_store_tells_nothing_of_a_request_or_its_answer(desk: Desk) -> None:
    """Who has the store but not the key can't even test a guess: equal requests leave different fingerprints."""
    for key in ("one", "two"):
        await desk.ask(key, b"secret-4711")
    one, two = [document.data for document in await desk.store.list(KIND, "ann")]
    assert one["fingerprint"] != two["fingerprint"]
    kept = json.dumps([dict(one), dict(two)])
    assert "4711" not in kept and '"box"' not in kept
    assert all(len(part) > 50 for data in (one, two) for part in data["secrets"].values())


async def test_what_can_not_be_settled_on_a_full_disk_is_settled_later(tmp_path: Path) -> None:
    """Else the service could not start there."""
    store, sealer = JsonFileStore(tmp_path), Sealer(b"k" * 32)
    await store.open()
    await Precedents(store, sealer=sealer, most=9).begin("ann", "id", Subject(BOX, "BOX"), b"a box", replaces=0)
    await store.save(BOX, "ann", "BOX", {})
    await store.close()
    store = JsonFileStore(tmp_path, reserve=1 << 60)
    await store.open()
    await Idempotency(Precedents(store, sealer=sealer, most=9)).open()
    await store.close()
    store = JsonFileStore(tmp_path)
    await store.open()
    await Idempotency(precedents := Precedents(store, sealer=sealer, most=9)).open()
    settled = await precedents.get("ann", "id")
    assert settled is not None and settled.made
    await store.close()


async def test_an_answer_is_kept_though_its_key_was_sealed_anew_meanwhile() -> None:
    """Also if the precedent is gone by then, the one who asked has the answer."""
    store, sealer = RacyStore(), Sealer(b"k" * 32)
    await store.open()
    idempotency = Idempotency(precedents := Precedents(store, sealer=sealer, most=9))

    async def make(made: str) -> bytes:
        await store.save(BOX, "ann", made, {})
        sealer.take([b"n" * 32, b"k" * 32])
        await Resealing(store, sealer=sealer, renewals={}).run()
        return b"the answer"

    async def recall(made: str) -> bytes:
        raise AssertionError(made)

    for repeated in (False, True):
        with idempotency.claim("ann", BOX, "k") as claim:
            answer = await claim.answer(b"a box", Subject(BOX, "BOX"), make=make, recall=recall)
        assert answer == Answer(b"the answer", repeated=repeated)
    (id_,) = await store.ids(KIND, "ann")

    async def make_and_forget(made: str) -> bytes:
        for one in await store.ids(KIND, "ann"):
            await precedents.forget("ann", one)
        return b"another answer"

    with idempotency.claim("ann", BOX, "other") as claim:
        answer = await claim.answer(b"a box", Subject(BOX, "OTHER"), make=make_and_forget, recall=recall)
    assert answer == Answer(b"another answer", repeated=False)
    assert id_ not in await store.ids(KIND, "ann")
