"""Bygones: what is over of all idempotency keys on a store that other processes have too, found by whoever has the tenure."""

from collections.abc import Awaitable, Callable
from typing import Final

from consignee.precedents import KIND, Precedent, Precedents
from consignee.tenure import Tenure

LATE: Final = 600.0
"""Seconds after which a request is over, however it ended; one that is still at it renews what it began."""
_AT_ONCE: Final = 200


class Bygones:
    """Looks at all keys once, and at the oldest ones again and again."""

    def __init__(
        self, precedents: Precedents, *, tenure: Tenure, settle: Callable[[Precedent], Awaitable[None]]
    ) -> None:
        self._precedents = precedents
        self._tenure = tenure
        self._settle = settle
        self._behind = 0

    async def sweep(self) -> None:
        """Remove what is over a day old, and settle what nobody came back for; raises StoreError."""
        if not await self._tenure.is_ours():
            self._behind = 0
            return
        await self._remove_old()
        await self._settle_late()

    async def _remove_old(self) -> None:
        """Look at the oldest ones, as long as there are old ones among them."""
        behind, found = 0, True
        while found and (entries := await self._precedents.store.in_order(KIND, behind=behind, most=_AT_ONCE)):
            found = any([(await self._precedents.judge(one.account, one.id, late=LATE)).was_old for one in entries])
            found, behind = found and await self._tenure.is_ours(), entries[-1].number

    async def _settle_late(self) -> None:
        """Look once at each, when it is late."""
        while entries := await self._precedents.store.in_order(KIND, behind=self._behind, most=_AT_ONCE):
            if not await self._tenure.is_ours():
                return
            for entry in entries:
                judged = await self._precedents.judge(entry.account, entry.id, late=LATE)
                if judged.is_new:
                    return
                if judged.unsettled is not None:
                    await self._settle(judged.unsettled)
                self._behind = entry.number
