"""Writing files without holding up the event loop, and without a thread left behind that still writes."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from consignee.digests import Sectioning
from consignee.ending import ended
from consignee.errors import StoreError, StoreFull
from consignee.store.disk import is_full, new_private, sync_data, write_all

logger = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")
# A pool of its own: the default one also resolves host names, which must not wait behind a thousand fsyncs.
_THREADS = 4


class Disk:
    """Runs what blocks in threads, and tells of disk errors in clear words."""

    def __init__(self, executor: Executor | None) -> None:
        self.executor = executor or ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")

    async def run(self, call: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what `call` returns; raises StoreError for its OSError.

        A cancellation waits until the thread is done, which can't be stopped: nobody may close or remove what it is writing to.
        """
        future = asyncio.get_running_loop().run_in_executor(self.executor, lambda: call(*args, **kwargs))
        cancelled = await ended(future)
        failure = future.exception()
        if cancelled is not None:
            raise cancelled
        if isinstance(failure, OSError):
            raise told(failure) from failure
        return future.result()


def told(failure: Exception) -> Exception:
    """Return an error of the spool's disk in clear words; what is none, as it is."""
    if not isinstance(failure, OSError):
        return failure
    logger.error("the spool's disk failed: %s", failure)
    kind = StoreFull if is_full(failure) else StoreError
    return kind(f"the files could not be stored: {failure.strerror or 'the disk failed'}")


class Writing:
    """One file as it is written and hashed; opened by the first write. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._digests = Sectioning()

    def write(self, data: bytes) -> None:
        """Append. Raises OSError."""
        if self._fd is None:
            self._fd = new_private(self._path)
        write_all(self._fd, data)
        self._digests.update(data)

    def finish(self) -> tuple[str, str]:
        """Sync and close; return MD5 and SHA-256 in hex. Raises OSError."""
        assert self._fd is not None
        sync_data(self._fd)
        self.close()
        whole, sections = self._digests.whole, self._digests.sections()
        if sections is not None:
            sections.write(self._path, whole.sha256.digest())
        return whole.md5.hexdigest(), whole.sha256.hexdigest()

    def close(self) -> None:
        """Let go; may be called again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
