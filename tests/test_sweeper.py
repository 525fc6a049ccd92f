"""Goes on until it works, the delays are used up, or it is told to stop."""

import asyncio
import logging

import pytest

from consignee.errors import AccessDenied, StoreError
from consignee.sweeper import DELAYS, MOST, Sweeper


class Removal:
    """A removal that fails with each of the given errors first."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.attempts = 0
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.attempts += 1
        if self._errors:
            raise self._errors.pop(0)
        self.done.set()


async def settled() -> None:
    """Let every task that is ready run."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_it_tries_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the storage said, and also if nothing came in time."""
    removal = Removal(AccessDenied("no"), TimeoutError(), StoreError("type not served"))
    sweeper = Sweeper([0.0] * 10)
    sweeper.add(removal, key="key")
    async with asyncio.timeout(30):
        await removal.done.wait()
    await sweeper.close()
    assert removal.attempts == 4
    assert caplog.records == []


async def test_it_gives_up_with_the_objects_name(caplog: pytest.LogCaptureFixture) -> None:
    removal = Removal(*(AccessDenied("the storage said no") for _ in range(9)))
    sweeper = Sweeper([0.0] * 3)
    sweeper.add(removal, key="exports/file.txt")
    await settled()
    assert removal.attempts == 3
    assert [record.getMessage() for record in caplog.records] == ["could not remove the test file exports/file.txt"]
    await sweeper.close()
    assert len(caplog.records) == 1


async def test_it_waits_before_each_attempt() -> None:
    """The first one too: what just failed is not repeated at once."""
    removal = Removal()
    sweeper = Sweeper([1000.0])
    sweeper.add(removal, key="key")
    await settled()
    await sweeper.close()
    assert removal.attempts == 0


async def test_a_stop_names_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """Also what was added just before; a second stop has nothing to say."""
    sweeper = Sweeper([1000.0])
    sweeper.add(Removal(), key="one")
    await settled()
    sweeper.add(Removal(), key="two")
    await sweeper.close()
    await sweeper.close()
    assert [record.getMessage() for record in caplog.records] == [
        "stopped before the test file one was removed",
        "stopped before the test file two was removed",
    ]


async def test_it_keeps_only_so_many_in_mind(caplog: pytest.LogCaptureFixture) -> None:
    """A hostile storage can't fill the memory; there is room again when some are done."""
    caplog.set_level(logging.ERROR, "consignee.sweeper")
    removals = [Removal() for _ in range(MOST + 1)]
    sweeper = Sweeper([0.0])
    for number, removal in enumerate(removals[:MOST]):
        sweeper.add(removal, key=str(number))
    caplog.set_level(logging.WARNING, "consignee.sweeper")
    sweeper.add(removals[MOST], key="too-much")
    assert [record.getMessage() for record in caplog.records] == ["too many test files to remove: gave up on too-much"]
    await settled()
    sweeper.add(removals[MOST], key="room-again")
    await settled()
    await sweeper.close()
    assert [removal.attempts for removal in removals] == [1] * (MOST + 1)


def test_the_delays_grow() -> None:
    assert list(DELAYS) == sorted(DELAYS)
    assert DELAYS[0] > 0
