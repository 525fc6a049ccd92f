"""Has the storage forget uploads in parts that nobody will go on with."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from consignee.agenda import Agenda
from consignee.delivery.delivery import Delivery
from consignee.delivery.tracking import opened
from consignee.destination import Destination
from consignee.providers.base import Bucket
from consignee.queue import Job
from consignee.secret import Sealer

SECONDS: Final = 30.0
"""How long the storage gets to forget the uploads of one delivery."""

OpenBucket = Callable[[Destination], AbstractAsyncContextManager[Bucket]]

log = logging.getLogger(__name__)


class Abandoning:
    """Abandons unfinished uploads; what the storage can't be told now, it keeps until its own rules remove it."""

    def __init__(
        self,
        open_bucket: OpenBucket,
        *,
        find: Callable[[str, str], Awaitable[Destination]],
        sealer: Sealer,
        agenda: Agenda,
    ) -> None:
        self._open_bucket = open_bucket
        self._find = find
        self._sealer = sealer
        self._agenda = agenda

    def soon(self, job: Job, destination: Destination | None = None) -> None:
        """Abandon the uploads of a delivery in the background; `destination` is for one that is not found any more."""
        if Delivery.of(job).checkpoints:
            self._agenda.after(0, lambda: self.now(job, destination))

    async def now(self, job: Job, destination: Destination | None = None) -> None:
        """Abandon the uploads that a job tells of; raises nothing: who gives a delivery up has more to do afterwards."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._abandon(job, destination)
        except Exception as error:  # noqa: BLE001 - a fault of ours too: nobody would repeat what comes after it
            self._leave(job, error)
        except asyncio.CancelledError as end:  # the service stops
            self._leave(job, end)
            raise

    async def _abandon(self, job: Job, destination: Destination | None) -> None:
        states = [opened(job, index, sealed, self._sealer) for index, sealed in Delivery.of(job).checkpoints.items()]
        if not any(states):
            return
        found = destination or await self._find(job.account, job.lane)
        async with self._open_bucket(found) as bucket:
            for state in filter(None, states):
                try:
                    await bucket.abandon(state.get("key", ""), state)
                except Exception as error:  # noqa: BLE001 - one that can't be abandoned is no reason to keep the others
                    self._leave(job, error)

    def _leave(self, job: Job, error: BaseException) -> None:
        ids = {"account": job.account, "destination": job.lane, "delivery": job.id}
        text = "an unfinished upload of delivery %s is left behind: %s"
        log.warning(text, job.id, type(error).__name__, extra=ids)
