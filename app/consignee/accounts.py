"""API keys: which account a caller is. Only a hash of a key is kept, and only under a pepper."""

import asyncio
import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from consignee.errors import Conflict, InvalidRequest, NotFound, StoreFull, StoreUnusable
from consignee.pepper import Pepper, find_pepper, make_pepper, read_something
from consignee.secret import Sealer
from consignee.settings import FixedAccount
from consignee.store import Document, Store

KIND: Final = "api_keys"
_SHARED: Final = ""
_MAX_LENGTH: Final = 256
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SALT_BYTES: Final = 32
_MOST_SEEN: Final = 10_000
_NOBODYS: Final = "0" * 64
_PEPPER_GONE: Final = (
    "the store's API keys are hashed with a pepper that is gone: put the file peppers.jsonl back, from your backup, or move"
    " api_keys.jsonl away too, and make new keys"
)
_KEY = re.compile(r"csg_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


def require_name(account: str) -> None:
    """Raise InvalidRequest unless an account may be called that."""
    if not _ACCOUNT.fullmatch(account):
        raise InvalidRequest({"account": ["Must be 1 to 64 letters, digits, dots, underscores or hyphens."]})


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key; `created_at` is ISO 8601 in UTC."""

    id: str
    account: str
    created_at: str


class Accounts:
    """The accounts and their API keys: fixed ones from the configuration, others in the store. See `open_accounts`."""

    def __init__(
        self,
        store: Store,
        *,
        pepper: Pepper,
        fixed: Sequence[FixedAccount] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._fixed = [(account.name, pepper.hashed(account.api_key.reveal())) for account in fixed]
        self._now = now
        self._random = random
        self._seen: dict[bytes, str] = {}
        self._seen_at: int | None = None
        self._salt = os.urandom(_SALT_BYTES)

    async def authenticate(self, api_key: str) -> str | None:
        """Return the name of the account whose key this is, or None; raises StoreError.

        A key that was right is known again, by a hash that is of use in this process alone, until any key is made or revoked.
        """
        version = self._store.version(KIND, _SHARED)
        if version != self._seen_at:
            self._seen, self._seen_at = {}, version
        digest = hashlib.blake2b(
            api_key.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=_SALT_BYTES
        ).digest()
        if (account := self._seen.get(digest)) is None:
            account = await self._find(api_key)
            if account is not None and version == self._seen_at and len(self._seen) < _MOST_SEEN:
                self._seen[digest] = account
        return account

    async def _find(self, api_key: str) -> str | None:
        """Whatever it is given, it does the same work: the time must not tell how near it was to a key."""
        is_plausible = 0 < len(api_key) <= _MAX_LENGTH and api_key.isascii()
        given = self._pepper.hashed(api_key if is_plausible else "")
        match = _KEY.fullmatch(api_key) if is_plausible else None
        fixed = self._fixed_account(given)
        stored = await self._stored_account(match[1] if match else "", given)
        return (fixed or stored) if is_plausible else None

    def _fixed_account(self, given: str) -> str | None:
        found = None
        # No early end: nor may the time tell which one it was.
        for name, known in self._fixed:
            if hmac.compare_digest(known, given):
                found = name
        return found

    async def _stored_account(self, key_id: str, given: str) -> str | None:
        document = await self._store.get(KIND, _SHARED, key_id)
        if document is None:
            await read_something(self._store)
        known, account = (document.data["hmac"], document.data["account"]) if document else (_NOBODYS, None)
        return account if hmac.compare_digest(known, given) else None

    async def create_key(self, account: str) -> str:
        """Return a new key of that account, which can't be shown again.

        Raises InvalidRequest for a wrong name.
        """
        require_name(account)
        while await self._store.revision(KIND, _SHARED, key_id := self._random(4).hex()):
            pass  # two of ten thousand keys have the same one once in a hundred times
        key = f"csg_{key_id}_{base64.urlsafe_b64encode(self._random(32)).decode().rstrip('=')}"
        created_at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = {"account": account, "hmac": self._pepper.hashed(key), "created_at": created_at}
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
            # A key never changes once all are open, so it can only have been revoked meanwhile.
            raise NotFound("There is no such API key.") from None


async def open_accounts(
    store: Store,
    *,
    sealer: Sealer,
    fixed: Sequence[FixedAccount] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    random: Callable[[int], bytes] = os.urandom,
) -> Accounts:
    """Return the accounts of an open store, making its pepper at the first start.

    Keys that an earlier version stored without a pepper get it. Raises StoreUnusable if the pepper is gone, and StoreError; the
    next start then goes on with what is left.
    """
    try:
        async with store.alone("pepper"):  # two that start for the first time would make two
            pepper = await _peppered(store, sealer, random)
    except StoreFull:
        text = "there is no room on the disk for the pepper of API keys: make room, then start again"
        raise StoreUnusable(text) from None
    return Accounts(store, pepper=pepper, fixed=fixed, now=now, random=random)


async def _peppered(store: Store, sealer: Sealer, random: Callable[[int], bytes]) -> Pepper:
    pepper = await find_pepper(store, sealer=sealer)
    documents = await store.list(KIND, _SHARED)
    if pepper is None:
        if any("hmac" in document.data for document in documents):
            raise StoreUnusable(_PEPPER_GONE)
        pepper = await make_pepper(store, sealer=sealer, random=random)
    plain = [document for document in documents if "hmac" not in document.data]
    await asyncio.gather(*(_season(store, document, pepper) for document in plain))
    return pepper


async def _season(store: Store, document: Document, pepper: Pepper) -> None:
    data = {name: value for name, value in document.data.items() if name != "hash"}
    data["hmac"] = pepper.over(document.data["hash"])
    await store.save(KIND, _SHARED, document.id, data, replaces=document.revision)


def _info(document: Document) -> KeyInfo:
    data = document.data
    return KeyInfo(id=document.id, account=data["account"], created_at=data["created_at"])
