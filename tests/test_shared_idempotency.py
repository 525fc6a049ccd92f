"""What is asked under a key of several processes on one store is made at most once, and answered alike."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from consignee.agenda import Agenda
from consignee.bygones import LATE
from consignee.errors import Conflict, InvalidRequest, NotFound, RateLimited, StoreError
from consignee.idempotency import Answer, Idempotency
from consignee.precedents import KIND, Precedent, Precedents, Subject
from consignee.renewal import EVERY, SILENCE, Renewals
from consignee.resealing import Resealing
from consignee.secret import Sealer
from consignee.store import Document
from consignee.tenure import Tenure
from sharing import SharedMemoryStore, opened
from timers import Timers

BOX = "boxes"
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Time:
    """Seconds that pass when everybody waits for them."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Return when they have passed for all."""
        until = self.now + seconds
        while self.now < until:
            await asyncio.sleep(0)

    async def run(self, until: Callable[[], bool]) -> None:
        """Let time pass, quarter of a second by quarter of a second, until it is true."""
        while not until():
            for _ in range(60):
                await asyncio.sleep(0)
            self.now += 0.25

    async def pass_for(self, *work: "asyncio.Task[Answer]") -> None:
        """Let time pass until these are done, whatever comes of them."""
        await self.run(lambda: all(one.done() for one in work))


@dataclass
class Desk:
    """A process that makes boxes; each waits for its gate when it is `slow`, and then fails with what is in `fails`."""

    store: SharedMemoryStore
    time: Time
    most: int = 100
    day: datetime = BEGAN
    slow: asyncio.Event | None = None
    fails: list[Exception] = field(default_factory=list)
    begun: int = 0
    sealer: Sealer = field(default_factory=lambda: Sealer(b"k" * 32))
    idempotency: Idempotency = field(init=False)
    precedents: Precedents = field(init=False)

    def __post_init__(self) -> None:
        self.precedents = Precedents(self.store, sealer=self.sealer, most=self.most, now=lambda: self.day)
        renewals = Renewals(self.precedents, sleep=self.time.sleep, clock=self.time)
        self.idempotency = Idempotency(self.precedents, renewals=renewals)

    async def ask(self, key: str = "k", content: bytes = b"a box", *, box: str = "BOX00", token: str = "") -> Answer:
        """Ask for a box with a key; with a token, for the next one."""

        async def make(unused: str) -> bytes:
            self.begun += 1
            if self.slow is not None:
                await self.slow.wait()
            if self.fails:
                raise self.fails.pop()
            if token:
                unused = f"{unused.partition('.')[0]}.{await self.store.count(BOX, 'ann') + 1:05d}"
            await self.store.save(BOX, "ann", unused, {"of": content.decode(), "token": token})
            return json.dumps(unused).encode()

        async def recall(made: str) -> bytes:
            if await self.store.get(BOX, "ann", made) is None:
                raise NotFound("There is no such box.")
            return json.dumps(made).encode()

        with self.idempotency.claim("ann", BOX, key) as claim:
            return await claim.answer(content, Subject(BOX, box, token), make=make, recall=recall)

    def asked(self, key: str = "k", *, box: str = "BOX00", token: str = "") -> "asyncio.Task[Answer]":
        """Ask in the background."""
        return asyncio.create_task(self.ask(key, box=box, token=token))

    async def boxes(self) -> list[str]:
        """Return the ids of what was made."""
        return await self.store.ids(BOX, "ann")


@pytest.fixture
async def desks() -> list[Desk]:
    """Two processes on one store."""
    first, time = await opened(), Time()
    return [Desk(first, time), Desk(first.another(), time)]


async def test_what_one_process_made_another_one_recalls(desks: list[Desk]) -> None:
    one, other = desks
    assert await one.ask() == Answer(b'"BOX00"', repeated=False)
    assert await other.ask(box="BOX01") == Answer(b'"BOX00"', repeated=True)
    assert await one.boxes() == ["BOX00"]


async def test_of_two_that_begin_at_once_one_is_made(desks: list[Desk]) -> None:
    found = await asyncio.gather(*(desk.ask(token=f"t{n}") for n, desk in enumerate(desks)), return_exceptions=True)
    assert [type(each) for each in found].count(Conflict) == 1
    assert len(await desks[0].boxes()) == 1


@pytest.mark.parametrize("token", ["", "token"])
async def test_what_another_process_is_making_is_a_conflict_however_long_it_takes(
    desks: list[Desk], token: str
) -> None:
    one, other = desks
    one.slow = asyncio.Event()
    making = one.asked(token=token and "t1")
    await one.time.run(lambda: one.begun == 1)
    for _ in range(3):
        repeated = other.asked(box="BOX01", token=token and "t2")
        await one.time.pass_for(repeated)
        assert isinstance(repeated.exception(), Conflict)
        one.time.now += 10 * SILENCE
        await one.time.run(lambda: True)
    one.slow.set()
    assert not (await making).repeated
    assert (await other.ask(box="BOX01", token=token and "t2")).body == making.result().body
    assert (other.begun, len(await one.boxes())) == (0, 1)


async def test_who_waits_gets_the_answer_if_it_is_made_meanwhile(desks: list[Desk]) -> None:
    one, other = desks
    one.slow = asyncio.Event()
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    repeated = other.asked(box="BOX01")
    await one.time.run(lambda: one.time.now > 1)
    assert one.time.now < EVERY
    one.slow.set()
    await one.time.pass_for(making, repeated)
    assert repeated.result() == Answer(b'"BOX00"', repeated=True)


async def test_if_it_fails_meanwhile_who_waits_makes_it(desks: list[Desk]) -> None:
    one, other = desks
    one.slow, one.fails = asyncio.Event(), [InvalidRequest({"box": ["is none"]})]
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    repeated = other.asked(box="BOX01")
    await one.time.run(lambda: one.time.now > 1)
    one.slow.set()
    await one.time.pass_for(making, repeated)
    assert isinstance(making.exception(), InvalidRequest)
    assert repeated.result() == Answer(b'"BOX01"', repeated=False)


@pytest.mark.parametrize("token", ["", "token"])
async def test_what_a_process_that_ended_had_begun_another_one_makes(desks: list[Desk], token: str) -> None:
    """Not before the silence is long enough."""
    one, other = desks
    await one.precedents.begin("ann", await _id_of(one), Subject(BOX, "BOX00", token and "t1"), b"a box", replaces=0)
    repeated = other.asked(box="BOX01", token=token and "t2")
    await one.time.run(lambda: one.time.now >= SILENCE - 1)
    assert other.begun == 0
    await one.time.pass_for(repeated)
    assert not repeated.result().repeated
    assert len(await one.boxes()) == 1


async def _id_of(desk: Desk) -> str:
    """Return the id under which the key is kept."""
    with desk.idempotency.claim("ann", BOX, "k") as claim:
        return claim._id


async def test_what_a_process_that_ended_had_made_another_one_recalls(desks: list[Desk]) -> None:
    one, other = desks
    await one.precedents.begin("ann", await _id_of(one), Subject(BOX, "BOX00", "t1"), b"a box", replaces=0)
    await one.store.save(BOX, "ann", "BOX00.00001", {"token": "t1"})
    repeated = other.asked(token="t2")
    await one.time.pass_for(repeated)
    assert repeated.result() == Answer(b'"BOX00.00001"', repeated=True)
    assert other.begun == 0


async def test_a_process_that_stood_still_does_not_take_back_what_another_took_over(desks: list[Desk]) -> None:
    one, other = desks
    one.slow, one.fails = asyncio.Event(), [StoreError("the database is away")]
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    one.store.away = True
    repeated = other.asked(box="BOX01")
    await one.time.pass_for(repeated)
    assert repeated.result() == Answer(b'"BOX00"', repeated=False)
    one.store.away = False
    one.slow.set()
    await one.time.pass_for(making)
    assert isinstance(making.exception(), StoreError)
    assert (await one.ask()).body == b'"BOX00"'
    assert await one.boxes() == ["BOX00"]


@pytest.mark.parametrize("fails", [True, False])
async def test_nor_what_another_that_took_over_is_still_at(
    desks: list[Desk], caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    one, other = desks
    one.slow, other.slow = asyncio.Event(), asyncio.Event()
    one.fails = [InvalidRequest({"box": ["is none"]})] if fails else []
    making = one.asked(token="t1")
    await one.time.run(lambda: one.begun == 1)
    one.store.away = True
    taken_over = other.asked(token="t2")
    await one.time.run(lambda: other.begun == 1)
    one.store.away = False
    one.slow.set()
    await one.time.pass_for(making)
    assert (making.exception() is not None) == fails
    assert ("could not be kept" in caplog.text) != fails
    begun = await other.precedents.get("ann", (await other.store.ids(KIND, "ann"))[0])
    assert begun is not None and (begun.made, begun.subject.token) == (False, "t2")
    other.slow.set()
    assert not (await taken_over).repeated


async def test_keys_may_be_sealed_anew_while_something_is_made(desks: list[Desk]) -> None:
    one, other = desks
    one.slow = asyncio.Event()
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    for desk in desks:
        desk.sealer.take([b"n" * 32, b"k" * 32])
    await Resealing(other.store, sealer=other.sealer, renewals={}).run()
    before = one.time.now
    await one.time.run(lambda: one.time.now > before + 3 * EVERY)
    one.slow.set()
    assert not (await making).repeated
    assert (await other.ask()).repeated


async def test_a_start_leaves_alone_what_another_process_is_making(desks: list[Desk]) -> None:
    one, other = desks
    one.slow = asyncio.Event()
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    await other.idempotency.open()
    one.slow.set()
    await making
    assert (await other.ask()).repeated


async def begun(desk: Desk, number: int) -> Precedent:
    """Leave what a process leaves that ended before it had made something, or after that."""
    subject = Subject(BOX, f"BOX{number:02d}")
    return await desk.precedents.begin("ann", f"{number:04d}", subject, b"a box", replaces=0)


async def _sweeping(desk: Desk) -> None:
    tenure = Tenure(desk.store, clock=desk.time)
    desk.idempotency.start(Agenda(Timers()), tenure=tenure)
    assert await tenure.is_ours()


async def test_who_has_the_tenure_settles_what_is_late_and_removes_what_is_old(desks: list[Desk]) -> None:
    """Whoever began it; and leaves alone what is new, or was begun anew under a key that was old."""
    one, other = desks
    await _sweeping(other)
    for number in range(3):
        await begun(one, number)
    await one.store.save(BOX, "ann", "BOX01", {})
    other.day = BEGAN + timedelta(seconds=LATE - 1)
    await other.idempotency.sweep()
    assert await one.store.count(KIND, "ann") == 3
    other.day = BEGAN + timedelta(seconds=LATE)
    sweep = asyncio.create_task(other.idempotency.sweep())
    await one.time.run(sweep.done)
    assert await one.store.ids(KIND, "ann") == ["0001"]
    kept = await one.precedents.get("ann", "0001")
    assert kept is not None and kept.made
    one.day = other.day = BEGAN + timedelta(days=1)
    await begun(one, 5)
    await other.idempotency.sweep()
    assert await one.store.ids(KIND, "ann") == ["0005"]


async def test_who_has_not_the_tenure_sweeps_nothing(desks: list[Desk]) -> None:
    one, other = desks
    await _sweeping(one)
    other.idempotency.start(Agenda(Timers()), tenure=Tenure(other.store, clock=other.time))
    await begun(one, 1)
    other.day = BEGAN + timedelta(days=2)
    await other.idempotency.sweep()
    assert await one.store.count(KIND, "ann") == 1


async def test_late_but_still_under_way_is_not_settled(desks: list[Desk]) -> None:
    one, other = desks
    await _sweeping(other)
    one.slow = asyncio.Event()
    making = one.asked()
    await one.time.run(lambda: one.begun == 1)
    other.day = BEGAN + timedelta(seconds=2 * LATE)
    sweep = asyncio.create_task(other.idempotency.sweep())
    await one.time.run(sweep.done)
    one.slow.set()
    assert not (await making).repeated
    assert (await other.ask()).repeated


async def test_all_processes_together_remember_so_many_keys_of_an_account() -> None:
    first, time = await opened(), Time()
    one, other = Desk(first, time, most=2), Desk(first.another(), time, most=2)
    await one.ask("k1", box="BOX01")
    await other.ask("k2", box="BOX02")
    other.day = BEGAN + timedelta(hours=1)
    with pytest.raises(RateLimited) as refused:
        await other.ask("k3", box="BOX03")
    assert refused.value.retry_after == 23 * 3600


async def test_a_store_that_fails_while_a_renewal_is_looked_after_does_not_end_the_renewals() -> None:
    """Else another process would take over what is still being made."""

    class Failing(SharedMemoryStore):
        fails = 0

        async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
            if self.fails:
                self.fails -= 1
                raise StoreError("the database is away")
            return await super().get(kind, account, id)

    time, failing = Time(), Failing()
    await failing.open()
    one, other = Desk(failing, time), Desk(failing.another(), time)
    one.slow = asyncio.Event()
    making = one.asked(token="t1")
    await time.run(lambda: one.begun == 1)
    begun = await other.precedents.get("ann", (await other.store.ids(KIND, "ann"))[0])
    assert begun is not None
    await other.precedents.save(begun)  # as a renewal whose answer was lost
    failing.fails = 1
    await time.run(lambda: time.now > 3 * EVERY)
    repeated = other.asked(token="t2")
    await time.pass_for(repeated)
    assert isinstance(repeated.exception(), Conflict)
    one.slow.set()
    await making
    assert len(await one.boxes()) == 1
