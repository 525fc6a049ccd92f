"""One thread that commits in groups: all who ask while one group is written are the next one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from consignee.errors import StoreError
from consignee.store.index import Change, Share

_T = TypeVar("_T")
Answer = asyncio.Future[StoreError | None]
Failures = Mapping[Share, StoreError]


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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="consignee-store")
        self._waiting: list[tuple[Change, Answer]] = []
        self._job: asyncio.Future[Any] | None = None

    def submit(self, change: Change) -> Answer:
        """Return a future of what went wrong, or None; it never raises, so it may be left unread."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._waiting.append((change, answer))
        self._next()
        return answer

    async def run(self, job: Callable[[], _T]) -> _T:
        """Return what `job` returns when run in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def idle(self) -> None:
        """Return when nothing is under way."""
        while self._job is not None:
            await asyncio.wait([self._job])

    def end(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end after all that was begun, and after `last`, for which this does not wait."""
        if last is not None:
            self._thread.submit(last)
        self._thread.shutdown(wait=last is None)

    def _next(self) -> None:
        if self._job is not None:
            return
        if (work := self._rest(bool(self._waiting))) is not None:
            self._start(work, then=lambda _: None)
        elif self._waiting:
            group, self._waiting = self._waiting, []
            self._start(partial(self._write, [change for change, _ in group]), then=partial(self._finish, group))

    def _start(self, work: Callable[[], Any], *, then: Callable[[asyncio.Future[Any]], None]) -> None:
        self._job = asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._job.add_done_callback(partial(self._ended, then))

    def _ended(self, then: Callable[[asyncio.Future[Any]], None], job: asyncio.Future[Any]) -> None:
        self._job = None
        then(job)
        self._next()

    def _finish(self, group: Sequence[tuple[Change, Answer]], job: asyncio.Future[Failures]) -> None:
        for change, answer in group:
            failure = _failure(job, change.share)
            self._settle(change, failure)
            if not answer.cancelled():
                answer.set_result(failure)


def _failure(job: asyncio.Future[Failures], share: Share) -> StoreError | None:
    if (bug := job.exception()) is not None:
        return StoreError(f"the store failed unexpectedly: {type(bug).__name__}")
    return job.result().get(share)
