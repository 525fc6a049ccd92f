"""API keys: which account a caller is. Only a hash of a key is kept."""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from consignee.errors import Conflict, InvalidRequest, NotFound
from consignee.settings import FixedAccount
from consignee.store import Document, Store

KIND: Final = "api_keys"
_SHARED: Final = ""
_MAX_LENGTH: Final = 256
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(r"csg_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key; `created_at` is ISO 8601 in UTC."""

    id: str
    account: str
    created_at: str


class Accounts:
    """The accounts and their API keys: fixed ones from the configuration, others in the store."""

    def __init__(
        self,
        store: Store,
        *,
        fixed: Sequence[FixedAccount] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._fixed = [(account.name, _hash(account.api_key.reveal())) for account in fixed]
        self._now = now
        self._random = random

    async def authenticate(self, api_key: str) -> str | None:
        """Return the name of the account whose key this is, or None; raises StoreError."""
        if not api_key or len(api_key) > _MAX_LENGTH or not api_key.isascii():
            return None
        given = _hash(api_key)
        fixed = self._fixed_account(given)
        if fixed is not None:
            return fixed
        match = _KEY.fullmatch(api_key)
        return await self._stored_account(match[1], given) if match else None

    def _fixed_account(self, given: str) -> str | None:
        found = None
        # No early end: the time must not tell which one it was.
        for name, known in self._fixed:
            if hmac.compare_digest(known, given):
                found = name
        return found

    async def _stored_account(self, key_id: str, given: str) -> str | None:
        document = await self._store.get(KIND, _SHARED, key_id)
        if document is None or not hmac.compare_digest(document.data["hash"], given):
            return None
        return str(document.data["account"])

    async def create_key(self, account: str) -> str:
        """Return a new key of that account, which can't be shown again.

        Raises InvalidRequest for a wrong name, and Conflict in the unlikely case that the random id is taken.
        """
        if not _ACCOUNT.fullmatch(account):
            raise InvalidRequest({"account": ["Must be 1 to 64 letters, digits, dots, underscores or hyphens."]})
        key_id = self._random(4).hex()
        key = f"csg_{key_id}_{base64.urlsafe_b64encode(self._random(32)).decode().rstrip('=')}"
        created_at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = {"account": account, "hash": _hash(key), "created_at": created_at}
        await self._store.save(KIND, _SHARED, key_id, data)
        return key

    async def list_keys(self) -> list[KeyInfo]:
        """Return the keys in the store, oldest first; never a hash."""
        return [_info(document) for document in await self._store.list(KIND, _SHARED)]

    async def revoke_key(self, id: str) -> None:  # noqa: A002
        """Make the key with that id unknown at once; raises NotFound."""
        document = await self._store.get(KIND, _SHARED, id)
        if document is None:
            raise NotFound("There is no such API key.")
        try:
            await self._store.remove(KIND, _SHARED, id, replaces=document.revision)
        except Conflict:
            # A key never changes, so it can only have been revoked meanwhile.
            raise NotFound("There is no such API key.") from None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _info(document: Document) -> KeyInfo:
    data = document.data
    return KeyInfo(id=document.id, account=data["account"], created_at=data["created_at"])
