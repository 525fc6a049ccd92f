"""Reads a backup: first whether it is whole, to the last bit, then what it holds."""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from consignee.backups import BackupUnusable
from consignee.backups.archive import BLOCK, FORMAT, MANIFEST, PIECE, TRAILER, trailer
from consignee.store.index import is_kind

_NOT_WHOLE: Final = "{} is not a whole backup: it was cut short or altered, or is something else; nothing was restored"
_STORED: Final = re.compile(r"store/([a-z_]+)\.jsonl")
_SPOOLED: Final = re.compile(r"spool/([0-9a-f]{1,64})/(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself; `members` are sizes and SHA-256 by name, in order, `missing` the names of lost files."""

    created_at: str
    version: str
    files: bool
    members: Mapping[str, tuple[int, str]]
    missing: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """What is in it, in words."""
        files = sum(name.startswith("spool/") for name in self.members)
        kept = f"{files} files of result sets" if self.files else "no files of result sets"
        return f"the documents, and {kept}, as at {self.created_at}"

    @property
    def lack(self) -> str | None:
        """What should be in it and is not, in words."""
        if not self.missing:
            return None
        return (
            f"{len(self.missing)} files of result sets are missing in it, {self.missing[0]} the first: they were gone, or not "
            "as they had been handed over; what is still to be delivered of them can't be"
        )


@dataclass(frozen=True)
class Member:
    """One member as it is read: its place is `("store", kind)` or `("spool", token, number)`, and nothing else."""

    place: tuple[str, ...]
    pieces: Iterator[bytes]


def check_seal(path: Path) -> None:
    """Read all of a backup; raises BackupUnusable unless it is, to the last bit, as it was written. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - TRAILER
        if left < 0 or left % BLOCK:
            raise BackupUnusable(_NOT_WHOLE.format(path))
        while left and (piece := file.read(min(left, PIECE))):
            digest.update(piece)
            left -= len(piece)
        if file.read() != trailer(digest.hexdigest()):
            raise BackupUnusable(_NOT_WHOLE.format(path))


def read_manifest(path: Path) -> Manifest:
    """Return what a sealed backup says of itself; raises BackupUnusable if this version can't read it, OSError."""
    try:
        with tarfile.open(path, "r:") as archive:
            content: Any = json.loads(_manifest_in(archive))
        if content["format"] != FORMAT:
            raise BackupUnusable(f"{path} was written by another version of consignee (format {content['format']})")
        members = {one["name"]: (int(one["size"]), str(one["sha256"])) for one in content["members"]}
        missing = tuple(map(str, content.get("missing", ())))
        return Manifest(str(content["created_at"]), str(content["consignee"]), bool(content["files"]), members, missing)
    except (tarfile.TarError, ValueError, KeyError, TypeError):
        raise BackupUnusable(_NOT_WHOLE.format(path)) from None


def _manifest_in(archive: tarfile.TarFile) -> bytes:
    while (info := _next(archive)) is not None:
        if info.name == MANIFEST and (file := archive.extractfile(info)) is not None:
            return file.read()
    raise tarfile.ReadError("there is no manifest")


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    info = archive.next()
    archive.members.clear()  # type: ignore[attr-defined]  # or it would keep one for each file
    return info


def members_of(path: Path, manifest: Manifest) -> Iterator[Member]:
    """Yield the members of a sealed backup, whose pieces are to be read to their end before the next one.

    Raises BackupUnusable, also from the pieces, if there is anything but what the manifest names.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for name, (size, sha256) in manifest.members.items():
                info = _next(archive)
                if info is None or (info.name, info.size, info.type) != (name, size, tarfile.REGTYPE):
                    raise BackupUnusable(_NOT_WHOLE.format(path))
                file = archive.extractfile(info)
                assert file is not None
                yield Member(_place(name, path, files=manifest.files), _checked(file, sha256, path))
    except tarfile.TarError:
        raise BackupUnusable(_NOT_WHOLE.format(path)) from None


def _place(name: str, path: Path, *, files: bool) -> tuple[str, ...]:
    if (stored := _STORED.fullmatch(name)) and is_kind(stored[1]):
        return "store", stored[1]
    if files and (spooled := _SPOOLED.fullmatch(name)):
        return "spool", spooled[1], spooled[2]
    raise BackupUnusable(f"{path} holds {name!r}, which does not belong into a backup; nothing was restored")


def _checked(file: IO[bytes], sha256: str, path: Path) -> Iterator[bytes]:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise BackupUnusable(_NOT_WHOLE.format(path))
