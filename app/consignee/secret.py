"""A string that does not print itself, and the sealing of secrets at rest."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consignee.errors import StoreError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SHOWN: Final = 16
"""Characters that are shown of what stands where the id of a key should."""


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
    revision does not open. `key` seals; it and those in `older` open what they sealed.
    """

    def __init__(self, key: bytes, *, older: Iterable[bytes] = (), random: Callable[[int], bytes] = os.urandom) -> None:
        self._ring = _ciphers((key, *older))
        self._random = random

    @property
    def key_id(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._ring))

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys that open, the one that seals first."""
        return tuple(self._ring)

    def take(self, keys: Sequence[bytes]) -> None:
        """Have these keys from now on, in place of all others; the first one seals."""
        self._ring = _ciphers(keys)

    def __repr__(self) -> str:
        return f"Sealer(key_id={self.key_id!r})"

    def seal(self, secret: Secret, *, account: str, id: str, revision: int, field: str) -> str:  # noqa: A002
        """Return the sealed form of `secret`, bound to that field of that revision of that document."""
        key_id, cipher = next(iter(self._ring.items()))
        nonce = self._random(_NONCE_BYTES)
        bound = _associated(account, id, revision, field)
        sealed = nonce + cipher.encrypt(nonce, secret.reveal().encode(), bound)
        return f"{key_id}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, *, account: str, id: str, revision: int, field: str) -> Secret:  # noqa: A002
        """Return the secret; raises StoreError if it was sealed by another key, or altered, or moved."""
        key_id, _, text = sealed.partition(":")
        if (cipher := self._ring.get(key_id)) is None:
            known = " or ".join(map(repr, self._ring))
            raise StoreError(f"a secret of {id} is sealed with key {key_id[:_SHOWN]!r}, not {known}")
        try:
            raw = _exactly(text)
            plain = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _associated(account, id, revision, field))
        except (binascii.Error, InvalidTag, ValueError):
            raise StoreError(f"a secret of {id} was altered or belongs elsewhere") from None
        return Secret(plain.decode())


def key_id_of(key: bytes) -> str:
    """Return the id of a key, which tells nothing of it; raises ValueError if it has another length."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a sealing key has {KEY_BYTES} bytes")
    return hashlib.sha256(b"consignee key id\0" + key).hexdigest()[:8]


def key_id_in(sealed: str) -> str:
    """Return the id of the key that something was sealed with, as it says."""
    return sealed.partition(":")[0][:_SHOWN]


def _ciphers(keys: Iterable[bytes]) -> dict[str, AESGCM]:
    return {key_id_of(key): AESGCM(key) for key in keys}


def _associated(account: str, id: str, revision: int, field: str) -> bytes:  # noqa: A002
    bound = b""
    for part in (account, id, str(revision), field):
        text = part.encode()
        bound += len(text).to_bytes(4) + text
    return bound


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


def parse_ring(text: str) -> tuple[bytes, ...]:
    """Return the keys in `text`, each once, white space between them; raises ValueError, which never quotes it."""
    keys = tuple(dict.fromkeys(map(parse_key, text.split())))
    return keys or (parse_key(text),)


def _exactly(text: str) -> bytes:
    """Return what the base64 holds; raises ValueError for any spelling but the one that is written."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not as it was written")
    return raw


def _base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
