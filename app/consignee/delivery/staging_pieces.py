"""The objects of a staging bucket: `PREFIX/TOKEN/0`, `1`, `2`. They are written once, read in sections, and never listed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final

from consignee.body import BytesBody
from consignee.delivery.staging_layout import PIECE_BYTES
from consignee.ending import in_thread
from consignee.errors import FileDamaged, ProviderFailure, StoreError
from consignee.providers.base import Bucket, Missing

logger = logging.getLogger(__name__)

TRIES: Final = 3
"""How often a request is made that fails in a way that may pass."""
LONGEST_PAUSE: Final = 4.0
"""Seconds before the next one, at most: a delivery waits meanwhile, with a connection to a customer's storage."""
_AT_ONCE: Final = 8
"""Deletions under way of one set."""


class Pieces:
    """The pieces of all sets, each of `size` bytes but the last one of its set. `pause` is in seconds, before the second try.

    What the bucket reports is told as StoreError: it is the operator's, and no customer's storage has failed.
    """

    def __init__(
        self, bucket: Callable[[], Bucket], *, prefix: str = "", size: int = PIECE_BYTES, pause: float = 0.5
    ) -> None:
        self.size = size
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._pause = pause

    def key(self, token: str, number: int) -> str:
        """Return the key of a piece."""
        return f"{self._prefix}{token}/{number}"

    async def put(self, token: str, number: int, content: bytes) -> None:
        """Write a piece; on return it is durable. Raises StoreError."""
        body = await in_thread(BytesBody, content)
        await self._tried(lambda: self._bucket().put(self.key(token, number), body))

    async def delete(self, token: str, numbers: Iterable[int]) -> None:
        """Remove pieces; those that are not there are fine. Raises StoreError."""
        left = iter(numbers)

        async def delete() -> None:
            for number in left:
                key = self.key(token, number)
                await self._tried(lambda: self._bucket().delete(key))  # noqa: B023 - awaited before the next one

        for outcome in await asyncio.gather(*(delete() for _ in range(_AT_ONCE)), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def read(self, token: str, at: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield so many bytes of the stream of a set; raises FileDamaged if they are not there, and StoreError."""
        while length:
            number, start = divmod(at, self.size)
            part = min(length, self.size - start)
            async with aclosing(self._section(self.key(token, number), start, part)) as chunks:
                async for chunk in chunks:
                    yield chunk
            at, length = at + part, length - part

    async def _section(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield a section of an object; what breaks off is gone on with where it was."""
        end, failed = start + length, 0
        while start < end:
            try:
                async with aclosing(self._bucket().read(key, start=start, length=end - start)) as chunks:
                    async for chunk in chunks:
                        start, failed = start + len(chunk), 0
                        yield chunk
            except ProviderFailure as failure:
                failed += 1
                await self._wait(failure, failed)
            except Missing:
                raise FileDamaged("The file is not in the staging bucket any more, or not all of it.") from None

    async def _tried(self, do: Callable[[], Awaitable[None]]) -> None:
        failed = 0
        while True:
            try:
                return await do()
            except ProviderFailure as failure:
                failed += 1
                await self._wait(failure, failed)

    async def _wait(self, failure: ProviderFailure, failed: int) -> None:
        """Return when it may be tried again; raises StoreError if there is no point in that."""
        pause = max(self._pause * 2 ** (failed - 1), failure.retry_after or 0.0)
        if not failure.transient or failed >= TRIES or pause > LONGEST_PAUSE:
            logger.error("the staging bucket failed: %s (%s, request %s)", failure, *_ids(failure))
            raise StoreError(f"the files are not to be had now: the staging bucket answers {failure.code}") from None
        await asyncio.sleep(pause)


def _ids(failure: ProviderFailure) -> tuple[str, str]:
    return failure.provider_code or failure.code, failure.provider_request_id or "unknown"
