"""Works through a queue: claims what is due, bounded, and sees that each job's worker lives."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from consignee.errors import MissingExtra, StoreError
from consignee.queue import Job, LeaseLost, Queue

_LONGEST_WAIT: Final = 3600.0
_PAUSE: Final = 1.0
"""Seconds before another look when something was wrong."""

log = logging.getLogger(__name__)


class Engine:
    """Runs `work` for every job that is due, `places` at once and `each` at once of one lane.

    A worker is cancelled when its lease is lost or the engine stops; it must then let go at once. One that fails with
    anything but an outcome keeps its lease until that ends, which makes it the crash that it is. `lease` is in seconds.
    """

    def __init__(
        self,
        queue: Queue,
        work: Callable[[Job], Awaitable[None]],
        *,
        places: int,
        each: int,
        lease: float,
    ) -> None:
        self._queue = queue
        self._work = work
        self._places = places
        self._each = each
        self._lease = lease
        self._running: dict[asyncio.Task[None], Job] = {}
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; `stop` ends it."""
        self._loops = [asyncio.create_task(_for_ever(step)) for step in (self._claim, self._extend)]

    async def stop(self, grace: float) -> None:
        """Claim nothing more, and let what is under way end within `grace` seconds; the rest is given back."""
        for loop in self._loops[:1]:
            await _cancelled(loop)
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        await _cancelled(*self._running)
        for loop in self._loops[1:]:
            await _cancelled(loop)

    async def take_away(self, account: str, id: str) -> None:  # noqa: A002
        """End the worker of a job whose lease was revoked here; return when it has ended, unless it is who asks for that."""
        workers = [task for task, job in self._running.items() if (job.account, job.id) == (account, id)]
        await _cancelled(*(task for task in workers if task is not asyncio.current_task()))

    async def _claim(self) -> None:
        free = self._places - len(self._running)
        if not free:
            await asyncio.wait(list(self._running), return_when=asyncio.FIRST_COMPLETED)
            return
        claimed = asyncio.ensure_future(self._queue.claim(free, each=self._each))
        try:
            jobs = await asyncio.shield(claimed)
        except asyncio.CancelledError:
            await self._give_back(claimed)
            raise
        for job in jobs:
            task = asyncio.create_task(self._run(job))
            self._running[task] = job
            task.add_done_callback(self._running.pop)
        if not jobs:
            await self._queue.wait(_LONGEST_WAIT)

    async def _give_back(self, claimed: "asyncio.Future[list[Job]]") -> None:
        """The engine stops while jobs are being claimed."""
        with suppress(StoreError):
            for job in await claimed:
                with suppress(LeaseLost):
                    await self._queue.release(job)

    async def _run(self, job: Job) -> None:
        try:
            await self._work(job)
        except LeaseLost:
            log.info("the job %s was taken away", job.id)
        except StoreError as error:
            log.error("the outcome of job %s could not be kept; it will be tried again: %s", job.id, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one job is no reason to end all others
            log.error("job %s failed unexpectedly: %s", job.id, described(error))

    async def _extend(self) -> None:
        await asyncio.sleep(self._lease / 3)
        for task, job in list(self._running.items()):
            try:
                await self._queue.extend(job)
            except LeaseLost:
                task.cancel()
            except StoreError as error:
                log.error(
                    "the lease of job %s could not be extended: %s", job.id, error, extra={"account": job.account}
                )


async def _for_ever(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - whatever it is, what is due must go on being delivered
            log.error("the queue could not be worked through for a moment: %s", described(error))
            await asyncio.sleep(_PAUSE)


def described(error: Exception) -> str:
    """Return what kind of error it is and where it was raised; its text is left out, for nobody knows what it holds."""
    if isinstance(error, MissingExtra):
        return str(error)
    places = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {places[-1].name}:{places[-1].lineno}" if places else type(error).__name__


async def _cancelled(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
