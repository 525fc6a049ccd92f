"""Runs connectivity tests: so many at once, each within its time, and none without a memory of the file that it writes."""

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from consignee.catalog import Catalog
from consignee.destination import Destination, Draft
from consignee.errors import RateLimited
from consignee.events import DestinationTested, Events
from consignee.outlets import Outlets
from consignee.rates import Rates
from consignee.removal import Remover
from consignee.settings import VerificationSettings
from consignee.subject import concerning
from consignee.turns import Turns
from consignee.verification import Report, UnderWay, verify


class Tester:
    """Tests destinations, saved or not.

    Who has many to test takes one of `turns` for each: half of all places, so that the other half is left for those who wait
    for a single test, and a quarter for one account, so that its hanging storage does not hold up the others. Of all places,
    one account gets at most three quarters, and accounts take turns. `slots` are those places.
    """

    def __init__(
        self,
        settings: VerificationSettings,
        *,
        catalog: Catalog,
        outlets: Outlets,
        remover: Remover,
        rates: Rates | None = None,
        events: Events | None = None,
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events = Events() if events is None else events
        self._timeout = settings.timeout
        self._catalog = catalog
        self._outlets = outlets
        self._remover = remover
        self._rates = rates
        self._random = random
        self._clock = clock
        self.slots = Turns(settings.concurrency, each=settings.concurrency - settings.concurrency // 4)
        self.turns = Turns(max(1, settings.concurrency // 2), each=max(1, settings.concurrency // 4))

    async def test(
        self,
        account: str,
        draft: Draft,
        found: Mapping[str, str],
        *,
        patient: bool = False,
        under_way: UnderWay | None = None,
    ) -> Report:
        """Return the report of a test; `under_way` hears of each step as it begins.

        Raises RateLimited if the account asks for too many, or no place gets free within a test's time, unless `patient`, or
        if too many files of the account could not be removed; StoreError if the file could not be remembered, and then none
        is written.
        """
        if not patient:
            self.charge(account)
        provider = self._catalog.provider(draft)
        token = self._random(8).hex()
        with concerning(**_ids(account, draft)):
            async with self._slot(account, patient), self._remover.watch(account, draft, found, id=token) as watch:
                began = self._clock()
                watch.report = await verify(
                    draft,
                    provider,
                    lambda trace: self._outlets.transport(provider, trace),
                    found=found,
                    timeout=self._timeout,
                    token=token,
                    remember=watch.remember,
                    under_way=under_way,
                )
                self._tell(account, draft, watch.report, self._clock() - began)
                return watch.report

    def _tell(self, account: str, draft: Draft, report: Report, seconds: float) -> None:
        if self.events:
            known = draft.id if isinstance(draft, Destination) else None
            tested = DestinationTested(
                account=account,
                destination_id=known,
                destination_type=draft.type,
                ok=report.ok,
                code=report.code,
                seconds=seconds,
            )
            self.events.tell(tested)

    def charge(self, account: str, tests: int = 1) -> None:
        """Count tests that an account asks for; raises RateLimited. Who is patient counts them before the first one."""
        if self._rates is not None:
            self._rates.take(account, cost=tests)

    @asynccontextmanager
    async def _slot(self, account: str, patient: bool) -> AsyncIterator[None]:
        try:
            await self.slots.take(account, within=None if patient else self._timeout)
        except TimeoutError:
            wait = max(1, round(self._timeout))
            raise RateLimited("Too many connectivity tests are under way.", retry_after=wait) from None
        try:
            yield
        finally:
            self.slots.give_back(account)


def _ids(account: str, draft: Draft) -> dict[str, str]:
    saved = {"destination": draft.id} if isinstance(draft, Destination) else {}
    return {"account": account, **saved}
