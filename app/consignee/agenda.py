"""Work in the background: each job begins after its delay, and all of them end with the service."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

log = logging.getLogger(__name__)

Job = Callable[[], Coroutine[Any, Any, None]]


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> object:
        """Let it not come."""


Timer = Callable[[float, Callable[[], None]], Handle]
"""Makes a call after so many seconds."""


def _on_the_loop(seconds: float, call: Callable[[], None]) -> Handle:
    return asyncio.get_running_loop().call_later(seconds, call)


class Agenda:
    """What is still to be done. A job that waits costs a timer, no task; `timer` takes the place of the event loop's."""

    def __init__(self, timer: Timer = _on_the_loop) -> None:
        self._timer = timer
        self._numbers = itertools.count()
        self._waiting: dict[int, Handle] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def after(self, seconds: float, job: Job) -> None:
        """Run `job` after so many seconds; once the agenda is closed, never."""
        if not self._closed:
            number = next(self._numbers)
            self._waiting[number] = self._timer(seconds, partial(self._start, number, job))

    def _start(self, number: int, job: Job) -> None:
        del self._waiting[number]
        task = asyncio.get_running_loop().create_task(job())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its text is left out, for nobody knows what it holds.
            log.error("a job in the background failed unexpectedly: %s", type(error).__name__)

    async def close(self) -> None:
        """Cancel what runs, forget what waits, and return when nothing is left."""
        self._closed = True
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
