"""Work that goes on to its end when nobody awaits it any more."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

_T = TypeVar("_T")


async def ended(future: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Return when the future is done, and the cancellation that came meanwhile, if any did."""
    cancelled = None
    while not future.done():
        waiter = asyncio.get_running_loop().create_future()
        future.add_done_callback(partial(_wake, waiter))
        try:
            await waiter
        except asyncio.CancelledError as interruption:
            cancelled = interruption
    return cancelled


def _wake(waiter: "asyncio.Future[None]", _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def in_thread(call: Callable[..., _T], *args: Any) -> _T:
    """Return what the call returns in a thread, which can't be stopped: a cancellation waits for its end."""
    future = asyncio.get_running_loop().run_in_executor(None, call, *args)
    cancelled = await ended(future)
    if cancelled is not None and future.exception() is None:
        raise cancelled
    return future.result()


async def to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the work returns. A cancellation waits for that end too: the files must not be swept away meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled = await ended(task)
    if cancelled is not None and not task.cancelled() and task.exception() is None:
        raise cancelled
    return task.result()
