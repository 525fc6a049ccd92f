"""One thread that commits in groups: all who ask while one group is written are the next one."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from consignee.errors import StoreError
from consignee.store.index import Change, Share

_T = TypeVar("_T")
Answer = asyncio.Future[StoreError | None]
Failures = Mapping[Share, StoreError]
_Jobs = SimpleQueue[Callable[[], object] | None]
_Ended = Callable[[Any, BaseException | None], None]
"""Is told in the loop what a job returned, or raised."""


class Writer:
    """Runs `write` off the event loop, once for each group, then `settle` in the loop, for each change of it.

    `write` returns why it failed, for each share that it could not write; `settle` is told the same, or None
    when the change is durable. `rest` is asked between groups for other work that blocks, and told whether
    somebody waits. What was begun ends even if nobody awaits it any more.
    """

    def __init__(
        self,
        *,
        write: Callable[[Sequence[Change]], Failures],
        settle: Callable[[Change, StoreError | None], None],
        rest: Callable[[bool], Callable[[], None] | None],
    ) -> None:
        self._write = write
        self._settle = settle
        self._rest = rest
        self._jobs: _Jobs = SimpleQueue()
        self._thread = threading.Thread(target=_work, args=[self._jobs], name="consignee-store_0", daemon=True)
        self._let_go = weakref.finalize(self, self._jobs.put, None)
        self._changes: list[Change] = []
        self._answers: list[Answer] = []
        self._busy = False
        self._idlers: list[asyncio.Future[None]] = []

    def submit(self, change: Change) -> Answer:
        """Return a future of what went wrong, or None; it never raises, so it may be left unread."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._changes.append(change)
        self._answers.append(answer)
        if not self._busy:
            self._next()
        return answer

    async def run(self, job: Callable[[], _T]) -> _T:
        """Return what `job` returns when run in the thread."""
        answer: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._start(job, partial(_answer, answer))
        return await answer

    async def idle(self) -> None:
        """Return when nothing is under way."""
        while self._busy:
            idler = asyncio.get_running_loop().create_future()
            self._idlers.append(idler)
            await idler

    def end(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end after all that was begun, and after `last`, for which this does not wait."""
        self._jobs.put(last)
        self._let_go()
        if last is None and self._thread.is_alive():
            self._thread.join()

    def _next(self) -> None:
        if (work := self._rest(bool(self._changes))) is not None:
            self._begin(work, lambda *_: None)
        elif self._changes:
            changes, answers = self._changes, self._answers
            self._changes, self._answers = [], []
            self._begin(partial(self._write, changes), partial(self._finish, changes, answers))
        else:
            self._busy = False
            self._wake_idlers()

    def _wake_idlers(self) -> None:
        idlers, self._idlers = self._idlers, []
        for idler in idlers:
            if not idler.done():
                idler.set_result(None)

    def _begin(self, work: Callable[[], Any], then: _Ended) -> None:
        self._busy = True
        self._start(work, partial(self._ended, then))

    def _start(self, work: Callable[[], Any], then: _Ended) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._jobs.put(partial(_run, work, then, asyncio.get_running_loop()))

    def _ended(self, then: _Ended, result: Any, bug: BaseException | None) -> None:
        then(result, bug)
        # Not at once: whoever was answered just now may want to be in the next group.
        asyncio.get_running_loop().call_soon(self._next)

    def _finish(
        self, changes: Sequence[Change], answers: Sequence[Answer], failures: Failures | None, bug: BaseException | None
    ) -> None:
        for change, answer in zip(changes, answers, strict=True):
            failure = _failure(change.share, failures, bug) if failures or bug else None
            self._settle(change, failure)
            if not answer.done():
                answer.set_result(failure)


def _work(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # it holds the writer, which could not be forgotten


def _run(work: Callable[[], Any], then: _Ended, loop: asyncio.AbstractEventLoop) -> None:
    result, bug = None, None
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        bug = error
    with suppress(RuntimeError):  # the loop may be closed by now
        loop.call_soon_threadsafe(then, result, bug)


def _answer(answer: asyncio.Future[_T], result: _T, bug: BaseException | None) -> None:
    if answer.done():
        return
    if bug is None:
        answer.set_result(result)
    else:
        answer.set_exception(bug)


def _failure(share: Share, failures: Failures | None, bug: BaseException | None) -> StoreError | None:
    if bug is not None:
        return StoreError(f"the store failed unexpectedly: {type(bug).__name__}")
    return None if failures is None else failures.get(share)
