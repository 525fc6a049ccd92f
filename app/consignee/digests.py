"""Digests of content as it goes by: of all of it, and of each section, so that no part is read for them before it is sent.

Those of the sections are kept in a file beside the content's, but only where there is more than one. It needs no sync: if it is
not there, or not whole, or of another content, whoever wants digests makes them.
"""

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.poly1305 import Poly1305

SECTION_BYTES: Final = 16 * 1024 * 1024
"""How long each section but the last is: as the parts in which files are sent, unless the settings say otherwise."""
_MAGIC: Final = b"section1"
_HEADER: Final = struct.Struct(">8sQQ")
_ENTRY: Final = struct.Struct("16s32s16s")
_SEAL: Final = 32
_KEY: Final = hashlib.sha256(b"a checksum, not a secret").digest()


class Checksum:
    """A sum that no damage leaves as it was, at an eighth of what SHA-256 costs: Poly1305, whose key everybody may know here."""

    def __init__(self) -> None:
        self._sum = Poly1305(_KEY)

    def update(self, data: bytes | memoryview) -> None:
        """Go on with more of it."""
        self._sum.update(data)

    def digest(self) -> bytes:
        """Return the sum; once."""
        return self._sum.finalize()


@dataclass(frozen=True)
class Known:
    """What is known of a section: the digests that storage is told, and the checksum by which we look whether it is as it was."""

    md5: bytes
    sha256: bytes
    checksum: bytes


class Digests:
    """MD5 and SHA-256 of the same content."""

    def __init__(self) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        """Go on with more of it."""
        self.md5.update(data)
        self.sha256.update(data)


class Sectioning:
    """The digests of content as it goes by; those of the first section are the whole's until there is a second one."""

    def __init__(self, size: int = SECTION_BYTES) -> None:
        self.whole = Digests()
        self._size = self._left = size
        self._length = 0
        self._section: Digests | None = None
        self._checksum = Checksum()
        self._entries: list[bytes] = []

    def update(self, data: bytes) -> None:
        """Go on with more of it."""
        rest = memoryview(data)
        while rest:
            piece, rest = rest[: self._left], rest[self._left :]
            self._take(piece)

    def sections(self) -> "Sections | None":
        """Return the digests of all sections; None if there is but one."""
        if self._length <= self._size:
            return None
        if self._left < self._size:
            self._end()
        return Sections(self._size, self._length, b"".join(self._entries))

    def _take(self, piece: memoryview) -> None:
        self.whole.update(piece)
        if self._section is not None:
            self._section.update(piece)
        self._checksum.update(piece)
        self._length += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._end()

    def _end(self) -> None:
        made = self._section or self.whole
        self._entries.append(_ENTRY.pack(made.md5.digest(), made.sha256.digest(), self._checksum.digest()))
        self._section, self._checksum, self._left = Digests(), Checksum(), self._size


@dataclass(frozen=True)
class Sections:
    """The digests of each section of a content; all but the last are `size` bytes long, and together `length`."""

    size: int
    length: int
    entries: bytes

    def known(self, offset: int, length: int) -> Known | None:
        """Return what is known of what begins there, if it is one of the sections."""
        if offset % self.size or length != min(self.size, self.length - offset) or length <= 0:
            return None
        return Known(*_ENTRY.unpack_from(self.entries, offset // self.size * _ENTRY.size))

    def encoded(self, sha256: bytes) -> bytes:
        """Return the form in which they are kept with the content that has that digest: `encoded_size` bytes."""
        content = _HEADER.pack(_MAGIC, self.size, self.length) + self.entries
        return content + hashlib.sha256(content + sha256).digest()

    @classmethod
    def decoded(cls, kept: bytes, length: int, sha256: bytes) -> Self | None:
        """Return what was kept with the content that has that length and digest; None if it is not whole."""
        content, seal = kept[:-_SEAL], kept[-_SEAL:]
        if len(content) < _HEADER.size or hashlib.sha256(content + sha256).digest() != seal:
            return None
        magic, size, told = _HEADER.unpack_from(content)
        return cls(size, told, content[_HEADER.size :]) if (magic, told) == (_MAGIC, length) else None

    def write(self, path: Path | str, sha256: bytes) -> None:
        """Keep them beside the content at `path`, which has that digest. Raises OSError."""
        with open(_beside(path), "xb", opener=_private) as file:
            file.write(self.encoded(sha256))

    @classmethod
    def read(cls, path: Path, length: int, sha256: bytes) -> Self | None:
        """Return what is kept beside the content at `path`, which has that length and digest, if it can be read; blocks."""
        try:
            kept = _beside(path).read_bytes()
        except OSError:
            return None
        return cls.decoded(kept, length, sha256)


def encoded_size(length: int, size: int = SECTION_BYTES) -> int:
    """Return how many bytes the digests of a content's sections take where they are kept; 0 if there is but one section."""
    return 0 if length <= size else _HEADER.size + -(-length // size) * _ENTRY.size + _SEAL


def _beside(path: Path | str) -> Path:
    return Path(f"{path}.sections")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
