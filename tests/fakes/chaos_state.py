"""What the S3 server of the chaos tests has stored: digests and counts, and the parts of unfinished uploads on disk.

Every change is a line of a journal, so that a server that is killed and started again in its directory knows all of it.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

_CHUNK_BYTES = 1024 * 1024


class Stored(NamedTuple):
    """An object: the SHA-256 in hexadecimal digits, its bytes, and how often it was stored."""

    sha256: str
    length: int
    puts: int


class Part(NamedTuple):
    """One part of an upload, and the file that it is in."""

    etag: str
    length: int
    file: str


@dataclass
class Upload:
    """An unfinished upload of the object `name`, `bucket/key`."""

    id: str
    name: str
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Counts:
    """What was asked since the start: requests by operation, answers by status, faults by kind.

    `busy` is how many requests of each bucket are under way, and `most_at_once` how many there were at most.
    """

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    most_at_once: dict[str, int] = field(default_factory=dict)

    def enter(self, bucket: str, operation: str) -> None:
        """Note that a request has begun."""
        self.requests[operation] += 1
        self.busy[bucket] += 1
        self.most_at_once[bucket] = max(self.most_at_once.get(bucket, 0), self.busy[bucket])


class Ledger:
    """The objects by `bucket/key` and the unfinished uploads by id. With `keep`, contents too, by their SHA-256."""

    def __init__(self, directory: Path, *, keep: bool = False) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self.counts = Counts()
        self.keep = keep
        self.directory = directory
        journal = directory / "journal"
        for line in journal.read_text().splitlines() if journal.exists() else []:
            self._apply(*json.loads(line))
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def close(self) -> None:
        """Let go of the journal."""
        os.close(self._journal)

    def put(self, name: str, sha256: str, length: int) -> None:
        """Note that an object was received and stored."""
        self._record("put", name, sha256, length)

    def delete(self, name: str) -> None:
        """Forget an object, if there is one."""
        if name in self.objects:
            self._record("delete", name)

    def begin(self, name: str) -> str:
        """Return the id of a new upload."""
        upload = secrets.token_hex(16)
        (self.directory / upload).mkdir()
        self._record("begin", upload, name)
        return upload

    def part(self, upload: str, number: int, part: Part) -> None:
        """Note a part, in the place of the one with the same number."""
        before = self.uploads[upload].parts.get(number)
        self._record("part", upload, number, *part)
        if before:
            (self.directory / upload / before.file).unlink()

    def complete(self, upload: str, sha256: str, length: int) -> None:
        """Note that an upload has become an object."""
        self._record("complete", upload, sha256, length)

    def abort(self, upload: str) -> None:
        """Forget an upload."""
        self._record("abort", upload)

    def discard(self, upload: str) -> None:
        """Remove the files of an upload that is finished."""
        shutil.rmtree(self.directory / upload, ignore_errors=True)

    def content(self, sha256: str) -> Path:
        """Return where the content of this digest is, if it was kept."""
        return self.directory / sha256

    def join(self, upload: str, parts: Sequence[Part]) -> tuple[str, int]:
        """Return the SHA-256 and the length of what the parts make together; reads them from disk."""
        digest, length = hashlib.sha256(), 0
        whole = self.directory / upload / "whole"
        with whole.open("wb") as joined:
            for part in parts:
                with (self.directory / upload / part.file).open("rb", buffering=0) as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        digest.update(chunk)
                        length += len(chunk)
                        if self.keep:
                            joined.write(chunk)
        if self.keep:
            whole.rename(self.content(digest.hexdigest()))
        return digest.hexdigest(), length

    def state(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        uploads = [{"id": one.id, "name": one.name, "parts": sorted(one.parts)} for one in self.uploads.values()]
        return {"objects": self.objects, "uploads": uploads, **vars(self.counts)}

    def _record(self, *event: Any) -> None:
        os.write(self._journal, json.dumps(event).encode() + b"\n")
        self._apply(*event)

    def _apply(self, kind: str, name: str, *values: Any) -> None:
        match kind:
            case "put":
                self._store(name, *values)
            case "delete":
                del self.objects[name]
            case "begin":
                self.uploads[name] = Upload(name, values[0])
            case "part":
                self.uploads[name].parts[values[0]] = Part(*values[1:])
            case "complete":
                self._store(self.uploads.pop(name).name, *values)
            case "abort":
                del self.uploads[name]

    def _store(self, name: str, sha256: str, length: int) -> None:
        before = self.objects.get(name)
        self.objects[name] = Stored(sha256, length, before.puts + 1 if before else 1)
