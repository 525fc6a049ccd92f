"""Work that goes on to its end when nobody awaits it any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def ended(future: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Return when the future is done, and the cancellation that came meanwhile, if any did."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as interruption:
            cancelled = interruption
    return cancelled


async def to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the work returns. A cancellation waits for that end too: the files must not be swept away meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled = await ended(task)
    if cancelled is not None and not task.cancelled() and task.exception() is None:
        raise cancelled
    return task.result()
