"""Whether the database answers: asked, not remembered, and not oftener than once a second; and what a client is told if not."""

import asyncio

import pytest

from consignee.errors import OutcomeUnknown, StoreError
from consignee.store.memory import MemoryStore
from consignee.web import pulse
from consignee.web.keys import DESTINATIONS
from consignee.web.pulse import Pulse

from .conftest import Client, created


class Remote(MemoryStore):
    """A store that others have open too; it answers, fails, or is silent until `answered` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.fails = False
        self.answered = asyncio.Event()
        self.answered.set()

    @property
    def shared(self) -> bool:
        return True

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        self.asked += 1
        await self.answered.wait()
        if self.fails:
            raise StoreError("it is away")
        return 0


async def test_a_store_of_this_process_is_not_asked() -> None:
    assert await Pulse(MemoryStore()).beats()


async def test_it_is_asked_once_a_second_for_all_who_want_to_know() -> None:
    store, now = Remote(), [100.0]
    felt = Pulse(store, clock=lambda: now[0])
    assert all(await asyncio.gather(*(felt.beats() for _ in range(10))))
    assert store.asked == 1
    store.fails = True
    now[0] += pulse.EVERY
    assert not await felt.beats()
    store.fails = False
    assert not await felt.beats()
    now[0] += pulse.EVERY
    assert await felt.beats()
    assert store.asked == 3


async def test_one_that_is_silent_does_not_beat() -> None:
    store = Remote()
    store.answered.clear()
    assert not await Pulse(store, patience=0.05).beats()


@pytest.mark.parametrize(
    ("error", "told"),
    [(StoreError("it is away"), "nothing was changed"), (OutcomeUnknown("lost"), "which may be there or not")],
)
async def test_nobody_is_told_that_nothing_was_changed_when_that_is_not_known(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: StoreError, told: str
) -> None:
    """A client that trusts it would do it all again, under another name."""
    made = await created(client)
    assert client.app is not None

    async def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(client.app[DESTINATIONS].store, "remove", failing)
    response = await client.delete(f"/destinations/{made['id']}")
    assert response.status == 503
    assert told in (await response.json())["request_info"]["message"]
