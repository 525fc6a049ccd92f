"""Collections: create, list, get, update, delete. Files and their deliveries are not there yet."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from consignee.clock import timestamp
from consignee.collection import Collection, from_document, parse, to_data
from consignee.errors import Conflict, InvalidRequest
from consignee.service import KIND as DESTINATIONS
from consignee.service import Usage
from consignee.store import Store
from consignee.store.documents import discard, fetch

KIND: Final = "collections"


class Collections:
    """The collections of all accounts. Every method takes the account; what belongs to another does not exist."""

    def __init__(
        self,
        store: Store,
        *,
        limit: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._limit = limit
        self._now = now
        self._random = random

    async def create(self, account: str, values: Mapping[str, Any]) -> Collection:
        """Check and save a new collection; raises InvalidRequest, LimitReached or StoreError."""
        fields = parse(values)
        await self._require_destinations(account, fields["destination_ids"])
        now = timestamp(self._now())
        made = Collection(account=account, id="", revision=0, created_at=now, updated_at=now, **fields)
        while True:
            with suppress(Conflict):  # the id is taken: try another
                return await self._save(replace(made, id=self._random(4).hex().upper()), limit=self._limit)

    async def get(self, account: str, id: str) -> Collection:  # noqa: A002
        """Return a collection; raises NotFound."""
        return from_document(await fetch(self._store, KIND, account, id, what="collection"))

    async def list(self, account: str) -> list[Collection]:
        """Return the account's collections, oldest first."""
        return [from_document(document) for document in await self._store.list(KIND, account)]

    async def usage(self, account: str) -> Usage:
        """Return how many collections the account has and may have."""
        return Usage(await self._store.count(KIND, account), self._limit)

    async def update(self, account: str, id: str, values: Mapping[str, Any]) -> Collection:  # noqa: A002
        """Change what is given; raises NotFound, InvalidRequest, Conflict if somebody else changed it meanwhile."""
        before = await self.get(account, id)
        fields = parse(values, before=before)
        new = [one for one in fields["destination_ids"] if one not in before.destination_ids]
        await self._require_destinations(account, new)
        return await self._save(replace(before, **fields, updated_at=timestamp(self._now())))

    async def delete(self, account: str, id: str) -> None:  # noqa: A002
        """Remove a collection; raises NotFound. What was delivered stays where it is."""
        await discard(self._store, KIND, account, id, what="collection")

    async def uses(self, account: str) -> Counter[str]:
        """Return, by id, how many of the account's collections name each destination."""
        return Counter(one for collection in await self.list(account) for one in collection.destination_ids)

    async def _require_destinations(self, account: str, ids: Sequence[str]) -> None:
        missing = [one for one in ids if await self._store.get(DESTINATIONS, account, one) is None]
        if missing:
            raise InvalidRequest({"destination_ids": [f"there is no destination {one[:64]!r}" for one in missing]})

    async def _save(self, collection: Collection, *, limit: int | None = None) -> Collection:
        saved = replace(collection, revision=collection.revision + 1)
        await self._store.save(KIND, saved.account, saved.id, to_data(saved), replaces=collection.revision, limit=limit)
        return saved
