"""Collections, over HTTP."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from consignee.client.answers import Collection, CollectionPage
from consignee.client.calling import Call, Caller, path
from consignee.client.paging import LARGEST_PAGE, through
from consignee.client.reading import read
from consignee.secret import Secret


class Collections:
    """What can be done with collections. Everything raises ClientError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        name: str,
        *,
        destination_ids: Iterable[str] = (),
        notification_webhook: str | None = None,
        notification_webhook_secret: str | Secret | None = None,
        manifest: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Collection:
        """Create a collection and return it, with the secret of its webhook if the service made that."""
        content = _given(
            name=name,
            destination_ids=destination_ids,
            notification_webhook=notification_webhook,
            notification_webhook_secret=notification_webhook_secret,
            manifest=manifest,
        )
        key = idempotency_key or self._caller.new_key()
        return await self._one(Call(method="POST", path="/collections", content=content, key=key))

    async def get(self, id: str) -> Collection:  # noqa: A002
        """Return a collection."""
        return await self._one(Call(method="GET", path=path("collections", id)))

    async def update(
        self,
        id: str,  # noqa: A002
        *,
        name: str | None = None,
        destination_ids: Iterable[str] | None = None,
        notification_webhook: str | None = None,
        notification_webhook_secret: str | Secret | None = None,
        manifest: bool | None = None,
    ) -> Collection:
        """Change what is given of a collection and return it; an empty webhook is none."""
        content = _given(
            name=name,
            destination_ids=destination_ids,
            notification_webhook=notification_webhook,
            notification_webhook_secret=notification_webhook_secret,
            manifest=manifest,
        )
        return await self._one(Call(method="PUT", path=path("collections", id), content=content))

    async def delete(self, id: str) -> None:  # noqa: A002
        """Remove a collection with its result sets."""
        await self._caller.ask(Call(method="DELETE", path=path("collections", id)))

    def list(self, *, page_size: int = LARGEST_PAGE) -> AsyncIterator[Collection]:
        """Yield every collection, oldest first, page after page."""

        async def turn(number: int) -> tuple[Iterable[Collection], int]:
            found = await self.page(number, page_size=page_size)
            return found.collections, found.total_pages

        return through(turn)

    async def page(self, page: int = 1, *, page_size: int | None = None) -> CollectionPage:
        """Return one page of the collections."""
        call = Call(method="GET", path="/collections", query={"page": page, "page_size": page_size})
        return read(CollectionPage, await self._caller.ask(call))

    async def _one(self, call: Call) -> Collection:
        return read(Collection, (await self._caller.ask(call)).get("collection"))


def _given(*, destination_ids: Iterable[str] | None, **fields: object) -> dict[str, Any]:
    """What is None is left out."""
    ids = {} if destination_ids is None else {"destination_ids": [*destination_ids]}
    return {**{name: value for name, value in fields.items() if value is not None}, **ids}
