"""Work that goes on to its end when nobody awaits it any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the work returns. A cancellation waits for that end too: the files must not be swept away meanwhile."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as interruption:
            cancelled = interruption
    if cancelled is not None and not task.cancelled() and task.exception() is None:
        raise cancelled
    return task.result()
