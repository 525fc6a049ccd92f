"""Goes on trying to remove the test files that a connectivity test had to leave behind.

It lives in memory: what it has not removed when the process ends stays, under the name that the customer was told.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from consignee.errors import ConsigneeError

DELAYS: Final = (1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
"""Seconds before each further attempt."""
MOST: Final = 1000
"""How many files are kept in mind at once."""

log = logging.getLogger(__name__)


class Sweeper:
    """Runs removals in the background, each until it works or the delays are used up."""

    def __init__(self, delays: Sequence[float] = DELAYS) -> None:
        self._delays = delays
        self._tasks: dict[asyncio.Task[None], str] = {}

    def add(self, remove: Callable[[], Awaitable[None]], *, key: str) -> None:
        """Try `remove` later, again and again; `key` names the object in the log."""
        if len(self._tasks) >= MOST:
            log.warning("too many test files to remove: gave up on %s", key)
            return
        task = asyncio.create_task(self._sweep(remove, key))
        self._tasks[task] = key
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _sweep(self, remove: Callable[[], Awaitable[None]], key: str) -> None:
        for delay in self._delays:
            await asyncio.sleep(delay)
            with contextlib.suppress(ConsigneeError, TimeoutError):
                await remove()
                return
        log.warning("could not remove the test file %s", key)

    async def close(self) -> None:
        """Stop; what was not removed is named in the log."""
        for task, key in self._tasks.items():
            if task.cancel():
                log.warning("stopped before the test file %s was removed", key)
        await asyncio.gather(*self._tasks, return_exceptions=True)
