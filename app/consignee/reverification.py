"""Tests every enabled destination again when its last test is old: off unless the settings say how old."""

import asyncio
import logging
import random as chance
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from consignee import leftovers
from consignee.agenda import Agenda
from consignee.errors import ConsigneeError, NotFound, StoreError
from consignee.service import KIND, Destinations
from consignee.store import Document
from consignee.tenure import Tenure
from consignee.turns import Turns

SHORTEST: Final = 1.0
LONGEST: Final = 3600.0
"""Seconds from one look at all destinations to the next, at least and at most."""

log = logging.getLogger(__name__)


class Reverification:
    """Looks again and again for destinations whose last test is over `period` seconds ago.

    Their tests are spread by chance over the time to the next look; each takes one of `turns`. Of all processes on a store, the
    one with the `tenure` does so.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        period: float,
        turns: Turns,
        agenda: Agenda,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[], float] = chance.random,
        tenure: Tenure | None = None,
    ) -> None:
        self._destinations = destinations
        self._period = period
        self._interval = min(max(period / 10, SHORTEST), LONGEST)
        self._turns = turns
        self._agenda = agenda
        self._now = now
        self._random = random
        self._tenure = tenure
        self._booked: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Begin; the agenda ends it."""
        self._agenda.after(0, self._look)

    async def _look(self) -> None:
        try:
            if await self._is_ours():
                await self._book_all()
        except StoreError as error:
            log.error("the destinations whose last test is old could not be looked for: %s", error)
        finally:
            self._agenda.after(self._interval, self._look)

    async def _is_ours(self) -> bool:
        return self._tenure is None or await self._tenure.is_ours()

    async def _book_all(self) -> None:
        store = self._destinations.store
        for account in await store.accounts(KIND):
            for document in await store.list(KIND, account):
                if self._is_due(document.data):
                    self._book(account, document.id)
            await asyncio.sleep(0)  # many accounts must not hold up the requests

    def _is_due(self, data: Mapping[str, Any]) -> bool:
        if not data["enabled"] or data["type"] not in self._destinations.catalog.types:
            return False
        # A time that is in the future, or none at all, is no reason never to test again.
        return data["last_test"] is None or not 0 <= self._age(data["last_test"]["at"]) < self._period

    def _age(self, at: str) -> float:
        try:
            return (self._now() - datetime.fromisoformat(at)).total_seconds()
        except (TypeError, ValueError):
            return -1.0

    def _book(self, account: str, id: str) -> None:  # noqa: A002
        if (account, id) not in self._booked:
            self._booked.add((account, id))
            self._agenda.after(self._interval * self._random(), partial(self._test, account, id))

    async def _test(self, account: str, id: str) -> None:  # noqa: A002
        ids = {"account": account, "destination": id}
        try:
            async with self._turns.turn(account):
                if await self._is_still_due(account, id) and await self._is_ours():
                    await self._destinations.test_saved(account, id, patient=True)
        except NotFound:
            log.debug("destination %s of account %s was deleted before its test", id, account, extra=ids)
        except ConsigneeError as error:
            log.warning("could not test destination %s of account %s: %s", id, account, error, extra=ids)
        finally:
            self._booked.discard((account, id))

    async def _is_still_due(self, account: str, id: str) -> bool:  # noqa: A002
        """Return whether nothing has changed while the test waited for its turn."""
        document = await self._destinations.store.get(KIND, account, id)
        return document is not None and self._is_due(document.data) and not await self._left_something(document)

    async def _left_something(self, document: Document) -> bool:
        """Whether a test file may still lie there: one more each time would fill a bucket that refuses to delete."""
        left = await self._destinations.store.list(leftovers.KIND, document.account)
        place = ("type", "settings")
        return any(all(one.data[part] == document.data[part] for part in place) for one in left)
