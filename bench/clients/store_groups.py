"""How contenders that block are driven from an event loop: one thread; what waits is committed together, or each by itself."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Commit = Callable[[Sequence[int]], None]


class Groups:
    """Runs `commit` in a thread for the numbers that wait, at most `most` of them together."""

    def __init__(self, commit: Commit, *, most: int) -> None:
        self._commit = commit
        self._most = most
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._busy = False

    async def create(self, number: int) -> None:
        """Return when the document of that number is durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, done))
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._next)
        await done

    def _next(self) -> None:
        group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        self._busy = bool(group)
        if group:
            numbers = [number for number, _ in group]
            job = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, numbers)
            job.add_done_callback(lambda job: self._ended(job, group))

    def _ended(self, job: asyncio.Future[None], group: Sequence[tuple[int, asyncio.Future[None]]]) -> None:
        job.result()
        for _, done in group:
            done.set_result(None)
        asyncio.get_running_loop().call_soon(self._next)  # whoever is woken now may be of the next group
