"""Collections: create, list, get, update, delete."""

import base64
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from consignee.clock import timestamp
from consignee.collection import (
    SECRET_PREFIX,
    WEBHOOK_SECRET,
    Collection,
    CollectionFields,
    from_document,
    parse,
    to_data,
)
from consignee.egress import Policy
from consignee.errors import Conflict, InvalidRequest
from consignee.secret import Sealer, Secret
from consignee.service import KIND as DESTINATIONS
from consignee.service import Usage
from consignee.store import Store
from consignee.store.documents import discard, fetch

KIND: Final = "collections"
_KEY_BYTES: Final = 32
_MOST_COUNTED: Final = 1000
"""Accounts of which it is remembered what their collections name."""


class Collections:
    """The collections of all accounts. Every method takes the account; what belongs to another does not exist."""

    def __init__(
        self,
        store: Store,
        *,
        limit: int,
        sealer: Sealer,
        policy: Policy,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._limit = limit
        self._sealer = sealer
        self._fields = CollectionFields(policy)
        self._now = now
        self._random = random
        self._in_use: WeakValueDictionary[tuple[str, str, int], Collection] = WeakValueDictionary()
        """Those that somebody has at hand, with the version of the store at which they were read."""
        self._uses: dict[str, tuple[int, Counter[str]]] = {}
        self.deleted: list[Callable[[str, str], Awaitable[None]]] = []
        """Who is told, with account and id, of each collection that is no more."""

    async def create(self, account: str, values: Mapping[str, Any], *, id: str = "") -> Collection:  # noqa: A002
        """Check and save a new collection, with a secret for its webhook; with that `id`, if one is given.

        Raises InvalidRequest, LimitReached, StoreError, or Conflict if the id is taken; then nothing is saved.
        """
        fields = parse(values, self._fields)
        await self._require_destinations(account, fields["destination_ids"])
        now = timestamp(self._now())
        made = Collection(account=account, id="", revision=0, created_at=now, updated_at=now, **fields)
        made = self._with_secret(made)
        if id:
            return await self._save(replace(made, id=id), limit=self._limit)
        while True:
            with suppress(Conflict):  # the id is taken: try another
                return await self._save(replace(made, id=self._random(4).hex().upper()), limit=self._limit)

    async def get(self, account: str, id: str) -> Collection:  # noqa: A002
        """Return a collection; raises NotFound."""
        place = account, id, self._store.version(KIND, account)
        if (known := self._in_use.get(place)) is None:
            document = await fetch(self._store, KIND, account, id, what="collection")
            self._in_use[place] = known = from_document(document, self._sealer)
        return known

    async def list(self, account: str) -> list[Collection]:
        """Return the account's collections, oldest first."""
        return [from_document(document, self._sealer) for document in await self._store.list(KIND, account)]

    async def usage(self, account: str) -> Usage:
        """Return how many collections the account has and may have."""
        return Usage(await self._store.count(KIND, account), self._limit)

    async def update(self, account: str, id: str, values: Mapping[str, Any]) -> Collection:  # noqa: A002
        """Change what is given; raises NotFound, InvalidRequest, Conflict if somebody else changed it meanwhile."""
        before = await self.get(account, id)
        fields = parse(values, self._fields, before=before)
        after = self._with_secret(replace(before, **fields, updated_at=timestamp(self._now())))
        new = [one for one in after.destination_ids if one not in before.destination_ids]
        await self._require_destinations(account, new)
        return await self._replace(before, after)

    async def _replace(self, before: Collection, after: Collection) -> Collection:
        while True:
            with suppress(Conflict):
                return await self._save(after)
            latest = await self.get(before.account, before.id)
            if replace(latest, revision=before.revision) != before:
                raise Conflict("The collection was changed meanwhile: read it again, then repeat the change.")
            # Only sealed anew meanwhile: that takes nothing from this change.
            before, after = latest, replace(after, revision=latest.revision)

    async def delete(self, account: str, id: str) -> None:  # noqa: A002
        """Remove a collection, its result sets and what is still to be delivered; raises NotFound.

        What was delivered stays where it is.
        """
        await discard(self._store, KIND, account, id, what="collection")
        for watcher in self.deleted:
            await watcher(account, id)

    async def recall(self, account: str, id: str, values: Mapping[str, Any]) -> Collection:  # noqa: A002
        """Return a collection as `create` made it of these values; nobody may have been told its secret. Raises NotFound."""
        collection = await self.get(account, id)
        made = WEBHOOK_SECRET in collection.secrets and not values.get(WEBHOOK_SECRET)
        # Its revision tells less: it grows also when the secret is sealed anew.
        return replace(collection, generated=made and collection.updated_at == collection.created_at)

    async def uses(self, account: str) -> Counter[str]:
        """Return, by id, how many of the account's collections name each destination: to be read only."""
        version = self._store.version(KIND, account)
        if (known := self._uses.get(account)) is not None and known[0] == version:
            return known[1]
        documents = await self._store.list(KIND, account)
        uses = Counter(one for document in documents for one in document.data["destination_ids"])
        if len(self._uses) >= _MOST_COUNTED:
            self._uses.clear()
        self._uses[account] = version, uses
        return uses

    async def _require_destinations(self, account: str, ids: Sequence[str]) -> None:
        missing = [one for one in ids if await self._store.get(DESTINATIONS, account, one) is None]
        if missing:
            raise InvalidRequest({"destination_ids": [f"there is no destination {one[:64]!r}" for one in missing]})

    def _with_secret(self, collection: Collection) -> Collection:
        """Return the collection; with a new secret if it has a webhook and never had one."""
        if collection.notification_webhook is None or WEBHOOK_SECRET in collection.secrets:
            return collection
        made = Secret(SECRET_PREFIX + base64.b64encode(self._random(_KEY_BYTES)).decode())
        return replace(collection, secrets={**collection.secrets, WEBHOOK_SECRET: made}, generated=True)

    async def _save(self, collection: Collection, *, limit: int | None = None) -> Collection:
        saved = replace(collection, revision=collection.revision + 1)
        data = to_data(saved, self._sealer)
        await self._store.save(KIND, saved.account, saved.id, data, replaces=collection.revision, limit=limit)
        return saved
