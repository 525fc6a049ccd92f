"""The test files that may lie in customers' buckets: remembered before they are uploaded, forgotten when they are gone.

Each is a document with all that it takes to delete the file, so that this needs neither the destination nor the process that
wrote it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from consignee.destination import Draft
from consignee.errors import LimitReached, NotFound, RateLimited
from consignee.sealed import open_secrets, seal_secrets
from consignee.secret import Sealer, Secret
from consignee.store import Document, Store
from consignee.store.documents import discard

KIND: Final = "test_objects"
MOST: Final = 1000
"""How many may be remembered for one account."""
_RETRY_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """One such file: its key, and the way to its bucket. `created_at` is ISO 8601, UTC."""

    account: str
    id: str
    key: str
    type: str
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    found: Mapping[str, str]
    created_at: str

    @property
    def draft(self) -> Draft:
        """What opens its bucket."""
        return Draft(type=self.type, name="", enabled=False, settings=self.settings, secrets=self.secrets)


class Leftovers:
    """Keeps them in the store, at most `most` of an account."""

    def __init__(self, store: Store, *, sealer: Sealer, most: int = MOST) -> None:
        self._store = store
        self._sealer = sealer
        self._most = most

    async def remember(self, leftover: Leftover) -> None:
        """Save it; raises RateLimited if the account has too many already, Conflict if its id is taken, or StoreError."""
        try:
            await self._store.save(
                KIND, leftover.account, leftover.id, to_data(leftover, self._sealer), limit=self._most
            )
        except LimitReached:
            message = "Too many test files of this account could not be deleted: give the key the right to delete."
            raise RateLimited(message, retry_after=_RETRY_SECONDS) from None

    async def forget(self, account: str, id: str) -> None:  # noqa: A002
        """Remove it; succeeds when there is none. Raises StoreError."""
        with suppress(NotFound):
            await discard(self._store, KIND, account, id, what="test file")

    async def get(self, account: str, id: str) -> Leftover | None:  # noqa: A002
        """Return it, or None; raises StoreError if its secrets can't be opened."""
        document = await self._store.get(KIND, account, id)
        return from_document(document, self._sealer) if document else None

    async def places(self, *, before: str = "~") -> list[tuple[str, str]]:
        """Return account and id of all that are remembered since before that time (ISO 8601, UTC)."""
        return [
            (account, document.id)
            for account in await self._store.accounts(KIND)
            for document in await self._store.list(KIND, account)
            if document.data["created_at"] < before
        ]


def to_data(leftover: Leftover, sealer: Sealer) -> dict[str, Any]:
    """Return the stored form, for its first revision; later ones differ in how it is sealed alone."""
    return {
        "key": leftover.key,
        "type": leftover.type,
        "settings": dict(leftover.settings),
        "secrets": seal_secrets(leftover.secrets, sealer, account=leftover.account, id=leftover.id, revision=1),
        "found": dict(leftover.found),
        "created_at": leftover.created_at,
    }


def from_document(document: Document, sealer: Sealer) -> Leftover:
    """Return what a stored document says; raises StoreError if its secrets can't be opened."""
    data: dict[str, Any] = {**document.data, "secrets": open_secrets(document, sealer)}
    return Leftover(account=document.account, id=document.id, **data)
