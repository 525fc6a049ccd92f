"""The files of one attempt as they are read: small ones whole and several at once, the others as they are sent."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from consignee.body import Body
from consignee.delivery.intake import HELD, SMALL_BYTES
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import ResultSet


class Reading:
    """The files that are `missing`, by their numbers, which are asked for in that order."""

    def __init__(self, files: ResultFiles, result_set: ResultSet, missing: Sequence[int]) -> None:
        self._stored = files.stored(result_set.token, result_set.files)
        self._files = result_set.files
        self._small = iter([index for index in missing if self._is_small(index)])
        self._read: dict[int, Body] = {}
        self._turn = asyncio.Lock()
        self._next = 0

    def _is_small(self, index: int) -> bool:
        return self._files[index].size <= SMALL_BYTES

    async def body(self, index: int) -> Body:
        """Return the content of a file; whether it still is what it was, a large one tells when it is read."""
        if self._is_small(index):
            async with self._turn:
                while index >= self._next:
                    await self._read_on()
        found = self._read.pop(index, None)
        return found if found is not None else self._stored.body(index)

    async def _read_on(self) -> None:
        window = [*islice(self._small, HELD)]
        self._next = window[-1] + 1
        self._read |= await self._stored.contents(window)
