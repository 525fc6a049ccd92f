"""A store in which somebody else is faster."""

from collections.abc import Awaitable, Callable

from consignee.store import Data
from preceded import PrecededStore


class RacyStore(PrecededStore):
    """Does what is `first` before the next save; what that saves itself is not held up."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[], Awaitable[object]] | None = None

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        first, self.first = self.first, None
        if first is not None:
            await first()
