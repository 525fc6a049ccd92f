"""The pepper of API keys: what is stored of a key is worth nothing without it, and it is sealed."""

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Final

from consignee.sealed import open_secrets, seal_secrets
from consignee.secret import Sealer, Secret
from consignee.store import Document, Store

KIND: Final = "peppers"
_ID: Final = "api_keys"
_SHARED: Final = ""
_BYTES: Final = 32


class Pepper:
    """Hashes API keys: HMAC-SHA256 over their SHA-256."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def hashed(self, key: str) -> str:
        """Return what is stored of a key, in hexadecimal."""
        return self.over(hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest())

    def over(self, digest: str) -> str:
        """Return the same of the key whose SHA-256 this is, in hexadecimal."""
        return hmac.digest(bytes.fromhex(self._secret.reveal()), bytes.fromhex(digest), "sha256").hex()


async def find_pepper(store: Store, *, sealer: Sealer) -> Pepper | None:
    """Return the store's pepper, or None if it has none yet; raises StoreError if it can't be opened."""
    document: Document | None = await store.get(KIND, _SHARED, _ID)
    return None if document is None else Pepper(open_secrets(document, sealer)["pepper"])


async def read_something(store: Store) -> None:
    """Read a document about as large as that of an API key: what is not there must not take less time than what is."""
    await store.get(KIND, _SHARED, _ID)


async def make_pepper(store: Store, *, sealer: Sealer, random: Callable[[int], bytes] = os.urandom) -> Pepper:
    """Return a new pepper, which is durable by then; raises StoreError, and Conflict if the store has one."""
    secret = Secret(random(_BYTES).hex())
    sealed = seal_secrets({"pepper": secret}, sealer, account=_SHARED, id=_ID, revision=1)
    await store.save(KIND, _SHARED, _ID, {"secrets": sealed})
    return Pepper(secret)
