"""Deliveries, over HTTP."""

from collections.abc import AsyncIterator

from consignee.client.calling import Call, Caller, path
from consignee.client.paging import LARGEST_PAGE
from consignee.client.progress import Delivery, DeliveryPage, ListedDelivery
from consignee.client.reading import read


class Deliveries:
    """What can be asked of deliveries. Everything raises ClientError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get(self, id: str) -> Delivery:  # noqa: A002
        """Return a delivery with its uploads."""
        answer = await self._caller.ask(Call(method="GET", path=path("deliveries", id)))
        return read(Delivery, answer.get("delivery"))

    async def list(
        self,
        *,
        collection_id: str | None = None,
        destination_id: str | None = None,
        status: str | None = None,
        page_size: int = LARGEST_PAGE,
    ) -> AsyncIterator[ListedDelivery]:
        """Yield the deliveries that are asked for, newest first, page after page."""
        cursor: str | None = None
        while True:
            page = await self.page(
                collection_id=collection_id,
                destination_id=destination_id,
                status=status,
                page_size=page_size,
                cursor=cursor,
            )
            for one in page.deliveries:
                yield one
            cursor = page.next_cursor
            if cursor is None or not page.deliveries:
                return

    async def page(
        self,
        *,
        collection_id: str | None = None,
        destination_id: str | None = None,
        status: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """Return some of the deliveries that are asked for, behind that cursor."""
        query = {
            "collection_id": collection_id,
            "destination_id": destination_id,
            "status": status,
            "page_size": page_size,
            "cursor": cursor,
        }
        return read(DeliveryPage, await self._caller.ask(Call(method="GET", path="/deliveries", query=query)))
