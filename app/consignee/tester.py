"""Runs connectivity tests: so many at once, each within its time, and what they leave behind is swept up."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.errors import RateLimited
from consignee.outlets import Outlets
from consignee.settings import VerificationSettings
from consignee.sweeper import Sweeper
from consignee.verification import Report, verify


class Tester:
    """Tests destinations, saved or not."""

    def __init__(
        self,
        settings: VerificationSettings,
        *,
        catalog: Catalog,
        outlets: Outlets,
        sweeper: Sweeper | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._outlets = outlets
        self._sweeper = sweeper or Sweeper()
        self._random = random
        self._slots = asyncio.Semaphore(settings.concurrency)

    async def test(self, draft: Draft, found: Mapping[str, str], *, patient: bool = False) -> Report:
        """Return the report of a test. Raises RateLimited if no slot gets free within a test's time, unless `patient`."""
        provider = self._catalog.provider(draft)
        async with self._slot(patient):
            report = await verify(
                draft,
                provider,
                lambda trace: self._outlets.transport(provider, trace),
                found=found,
                timeout=self._settings.timeout,
                token=self._random(8).hex(),
            )
        if report.doubtful:
            self._sweep(draft, {**found, **report.found}, report.doubtful)
        return report

    @asynccontextmanager
    async def _slot(self, patient: bool) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None if patient else self._settings.timeout):
                await self._slots.acquire()
        except TimeoutError:
            wait = max(1, round(self._settings.timeout))
            raise RateLimited("Too many connectivity tests are under way.", retry_after=wait) from None
        try:
            yield
        finally:
            self._slots.release()

    def _sweep(self, draft: Draft, found: Mapping[str, str], key: str) -> None:
        async def remove() -> None:
            provider = self._catalog.provider(draft)
            async with (
                asyncio.timeout(self._settings.timeout),
                provider.open(draft, found, self._outlets.transport(provider)) as bucket,
            ):
                await bucket.delete(key)

        self._sweeper.add(remove, key=key)

    async def close(self) -> None:
        """Stop sweeping."""
        await self._sweeper.close()
