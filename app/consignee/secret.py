"""A string that does not print itself, and the sealing of secrets at rest."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consignee.errors import StoreError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Secret:
    """Holds a secret. Printing, formatting, pickling or encoding it never shows any part of it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself: call this only where it is used to sign or to seal."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret can't be pickled or copied")


class Sealer:
    """Seals secrets with AES-256-GCM; what they belong to is bound to them as associated data.

    A sealed secret reads `key id:base64(nonce + ciphertext)`. A secret that was moved to another account, document or
    revision does not open.
    """

    def __init__(self, key: bytes, *, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes")
        self.key_id: Final = hashlib.sha256(b"consignee key id\0" + key).hexdigest()[:8]
        self._cipher = AESGCM(key)
        self._random = random

    def __repr__(self) -> str:
        return f"Sealer(key_id={self.key_id!r})"

    def seal(self, secret: Secret, *, account: str, id: str, revision: int, field: str) -> str:  # noqa: A002
        """Return the sealed form of `secret`, bound to that field of that revision of that document."""
        nonce = self._random(_NONCE_BYTES)
        bound = _associated(account, id, revision, field)
        sealed = nonce + self._cipher.encrypt(nonce, secret.reveal().encode(), bound)
        return f"{self.key_id}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, *, account: str, id: str, revision: int, field: str) -> Secret:  # noqa: A002
        """Return the secret; raises StoreError if it was sealed by another key, or altered, or moved."""
        key_id, _, text = sealed.partition(":")
        if key_id != self.key_id:
            raise StoreError(f"a secret of {id} is sealed with key {key_id!r}, not {self.key_id!r}")
        try:
            raw = _exactly(text)
            plain = self._cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _associated(account, id, revision, field)
            )
        except (binascii.Error, InvalidTag, ValueError):
            raise StoreError(f"a secret of {id} was altered or belongs elsewhere") from None
        return Secret(plain.decode())


def _associated(*parts: object) -> bytes:
    texts = [str(part).encode() for part in parts]
    return b"".join(len(text).to_bytes(4) + text for text in texts)


def parse_key(text: str) -> bytes:
    """Return the 32 bytes that `text` holds in base64 or hexadecimal; raises ValueError, which never quotes it."""
    text = text.strip()
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(text)
        except ValueError:
            continue
        if len(key) == KEY_BYTES:
            return key
    raise ValueError(f"a sealing key is {KEY_BYTES} bytes in base64 or hexadecimal")


def _exactly(text: str) -> bytes:
    """Return what the base64 holds; raises ValueError for any spelling but the one that is written."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not as it was written")
    return raw


def _base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
