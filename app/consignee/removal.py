"""Goes on removing the test files that a connectivity test had to leave behind, until each of them is gone.

On a store that other processes have too, the process that tested goes on for some minutes, and then the one with the tenure.
"""

import asyncio
import logging
import random as chance
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.clock import timestamp
from consignee.destination import Draft
from consignee.errors import BucketNotFound, ConsigneeError, NotAStorageService, StoreError
from consignee.leftovers import Leftover, Leftovers
from consignee.outlets import Outlets
from consignee.tenure import Tenure
from consignee.turns import Turns
from consignee.verification import Report

DELAYS: Final = (1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
"""Seconds before each attempt; after them comes one a day."""
DAY: Final = 86400.0
OWN: Final = 4
"""How many attempts are the tester's own, if there may be others: they take about six minutes."""
LEFT: Final = timedelta(minutes=10)
"""How old what is left must be, for its tester to have given it up or ended."""
LOOK: Final = 300.0
"""Seconds from one look for what others left to the next."""
AT_ONCE: Final = 8
JITTER: Final = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Errand:
    """An attempt that is to come. `certain` says that the upload has ended, `found` what the test learned of the bucket.

    It is `own` if this process tested.
    """

    account: str
    id: str
    attempt: int = 0
    certain: bool = False
    own: bool = True
    found: Mapping[str, str] = field(default_factory=dict)


class Watch:
    """What is known of the file of one test while it runs."""

    def __init__(self, leftovers: Leftovers, leftover: Leftover) -> None:
        self._leftovers = leftovers
        self._leftover = leftover
        self.report: Report | None = None
        self.remembered = False

    async def remember(self, key: str) -> None:
        """Return when it is certain that the file will be removed; raises RateLimited or StoreError if it can't be."""
        self.remembered = True  # also if this is cancelled, for the store may finish what it began
        try:
            await self._leftovers.remember(replace(self._leftover, key=key))
        except ConsigneeError:
            self.remembered = False
            raise


class Remover:
    """Removes them in the background, a few at once, none of a test that still runs."""

    def __init__(
        self,
        leftovers: Leftovers,
        *,
        catalog: Catalog,
        outlets: Outlets,
        agenda: Agenda,
        timeout: float,
        delays: Sequence[float] = DELAYS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[], float] = chance.random,
        tenure: Tenure | None = None,
    ) -> None:
        self._leftovers = leftovers
        self._catalog = catalog
        self._outlets = outlets
        self._agenda = agenda
        self._timeout = timeout
        self._delays = delays
        self._now = now
        self._random = random
        self._turns = Turns(AT_ONCE, each=AT_ONCE // 4)
        self._tenure = tenure if tenure is not None and tenure.is_shared else None
        self._here: set[tuple[str, str]] = set()

    async def take_up(self) -> None:
        """Go on with all that is remembered: to be called before the first test. What others left is looked for later."""
        if self._tenure is not None:
            return self._agenda.after(0, self._look)
        for account, id_ in await self._leftovers.places():
            self._plan(_Errand(account=account, id=id_))
        return None

    async def _look(self) -> None:
        try:
            if await self._is_ours():
                await self._take_over()
        except StoreError as error:
            log.error("the test files that others left could not be looked for: %s", error)
        finally:
            self._agenda.after(LOOK, self._look)

    async def _take_over(self) -> None:
        """Go on with what is so old that its own process does not any more; its upload has ended long ago."""
        before = timestamp(self._now() - LEFT)
        for account, id_ in await self._leftovers.places(before=before):
            if (account, id_) not in self._here:
                self._plan(_Errand(account=account, id=id_, certain=True, own=False))

    async def _is_ours(self) -> bool:
        return self._tenure is None or await self._tenure.is_ours()

    @asynccontextmanager
    async def watch(self, account: str, draft: Draft, found: Mapping[str, str], *, id: str) -> AsyncIterator[Watch]:  # noqa: A002
        """Yield what a test tells what it does; when it has ended, however it did, its file is removed if it may be there."""
        leftover = Leftover(
            account=account,
            id=id,
            key="",
            type=draft.type,
            settings=draft.settings,
            secrets=draft.secrets,
            found=found,
            created_at=timestamp(self._now()),
        )
        watch = Watch(self._leftovers, leftover)
        try:
            yield watch
            await self._forget(watch, account, id)
        finally:
            if watch.remembered:
                self._plan(_errand(account, id, found, watch.report))

    async def _forget(self, watch: Watch, account: str, id: str) -> None:  # noqa: A002
        if watch.remembered and watch.report and watch.report.doubtful is None:
            with suppress(StoreError):  # the test went well all the same
                await self._leftovers.forget(account, id)
                watch.remembered = False

    def _plan(self, errand: _Errand) -> None:
        self._here.add((errand.account, errand.id))
        delay = self._delay(errand.attempt) * (1 - JITTER + 2 * JITTER * self._random())
        self._agenda.after(delay, partial(self._run, errand))

    def _delay(self, attempt: int) -> float:
        return self._delays[attempt] if attempt < len(self._delays) else DAY

    async def _run(self, errand: _Errand) -> None:
        done = False
        try:
            async with self._turns.turn(errand.account):
                done = await self._is_left_to_others(errand) or await self._attempt(errand)
        finally:
            if done:
                self._here.discard((errand.account, errand.id))
            else:
                self._plan(replace(errand, attempt=errand.attempt + 1))

    async def _is_left_to_others(self, errand: _Errand) -> bool:
        return not ((errand.own and errand.attempt < OWN) or await self._is_ours())

    async def _attempt(self, errand: _Errand) -> bool:
        """Return whether there is nothing more to do."""
        key = f"(unknown, {errand.id})"
        try:
            leftover = await self._leftovers.get(errand.account, errand.id)
            if leftover is None:
                return True
            key = leftover.key
            if leftover.type not in self._catalog.types:
                return await self._give_up(leftover)
            outcome = await self._remove(leftover, errand)
            # An upload of which we don't know the end may still arrive at the storage after a first delete.
            if not errand.certain and errand.attempt == 0:
                return False
            await self._leftovers.forget(errand.account, errand.id)
        except (ConsigneeError, TimeoutError) as error:
            self._report(errand, key, error)
            return False
        ids = {"account": errand.account}
        log.info("the test file %s of account %s %s", key, errand.account, outcome, extra=ids)
        return True

    async def _give_up(self, leftover: Leftover) -> bool:
        await self._leftovers.forget(leftover.account, leftover.id)
        why = f"destinations of type {leftover.type!r} are not served here any more"
        ids = {"account": leftover.account}
        log.warning("gave up the test file %s of account %s: %s", leftover.key, leftover.account, why, extra=ids)
        return True

    async def _remove(self, leftover: Leftover, errand: _Errand) -> str:
        provider = self._catalog.provider(leftover.draft)
        found = {**leftover.found, **errand.found}
        try:
            async with (
                asyncio.timeout(self._timeout),
                provider.open(leftover.draft, found, self._outlets.transport(provider)) as bucket,
            ):
                await bucket.delete(leftover.key)
        except BucketNotFound:
            return "is gone with its bucket"
        except NotAStorageService:
            return "was sent to what is no storage service"
        return "was removed"

    def _report(self, errand: _Errand, key: str, error: Exception) -> None:
        if self._delay(errand.attempt + 1) >= DAY:
            why = error.code if isinstance(error, ConsigneeError) else "timeout"
            text = "could not remove the test file %s of account %s: %s; next attempt in a day"
            log.warning(text, key, errand.account, why, extra={"account": errand.account})


def _errand(account: str, id: str, found: Mapping[str, str], report: Report | None) -> _Errand:  # noqa: A002
    if report is None:
        return _Errand(account=account, id=id, found=found)
    uploaded = report.left_behind is not None
    return _Errand(account=account, id=id, certain=uploaded, found={**found, **report.found})
