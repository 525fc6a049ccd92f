"""Writes a backup: an archive that comes piece by piece, and says at its end what it was to hold."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from consignee.errors import StoreError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
BLOCK: Final = 512
PIECE: Final = 1024 * 1024
_SEAL: Final = "SEAL"
_END: Final = bytes(2 * BLOCK)
TRAILER: Final = 2 * BLOCK + len(_END)
"""Bytes of the last member, which seals the archive, and of the mark of its end."""


@dataclass(frozen=True)
class Source:
    """A member to be: exactly `size` bytes from the beginning of what `open` opens, which is closed again.

    If it returns None, the member is left out, and the manifest names it as missing.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO | None]


def archived(sources: Iterable[Source], about: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a backup in pieces of at most PIECE bytes; `about` goes into its manifest. Blocks.

    Raises StoreError if a source is not as long as it should be, OSError if it can't be read.
    """
    digest = hashlib.sha256()
    for piece in _content(sources, about):
        digest.update(piece)
        yield piece
    yield trailer(digest.hexdigest())


def trailer(digest: str) -> bytes:
    """Return the last bytes of an archive whose other bytes have that SHA-256, in hexadecimal."""
    return _member(_SEAL, f"{digest}\n".encode()) + _END


def _content(sources: Iterable[Source], about: Mapping[str, Any]) -> Iterator[bytes]:
    members, missing = [], list[str]()
    for source in sources:
        if (file := _opened(source)) is None:
            missing.append(source.name)
            continue
        digest = hashlib.sha256()
        with file:
            yield _header(source.name, source.size)
            for piece in _pieces(file, source):
                digest.update(piece)
                yield piece
        if padding := _padding(source.size):
            yield padding
        members.append({"name": source.name, "size": source.size, "sha256": digest.hexdigest()})
    manifest = {"format": FORMAT, **about, "members": members, "missing": missing}
    yield _member(MANIFEST, json.dumps(manifest, indent=1).encode())


def _opened(source: Source) -> BinaryIO | None:
    try:
        return source.open()
    except OSError as error:
        raise StoreError(f"{source.name} could not be backed up: {error.strerror}") from error


def _pieces(file: BinaryIO, source: Source) -> Iterator[bytes]:
    left = source.size
    while left:
        if not (piece := file.read(min(left, PIECE))):
            raise StoreError(f"{source.name} could not be backed up: it lacks {left} of {source.size} bytes")
        left -= len(piece)
        yield piece


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + _padding(len(content))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)
