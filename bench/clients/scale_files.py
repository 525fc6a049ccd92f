"""Makes a store of files as so many saves leave it: scale_files.py jobs|documents DIRECTORY COUNT."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scale_documents
import store_documents
from consignee.queue import AT_ONCE
from consignee.store.record import encode_header, encode_record
from scale_queue import DATA, KIND


def jobs(count: int) -> Iterator[bytes]:
    """Yield the lines of so many jobs that are due: ten of each destination, ten destinations of each account."""
    for number in range(count):
        account, lane = f"account-{number % 100:03d}-{number // 10_000}", f"lane-{number // 100 % 10}"
        about: dict[str, Any] = {"lane": lane, "attempt": 0, "crashes": 0, "due": AT_ONCE, "lease": None}
        yield encode_record(account, f"5C1D90E7.{number:09d}.A", 1, {"job": about, "data": DATA})


def documents(count: int) -> Iterator[bytes]:
    """Yield the lines of so many destinations."""
    for number in range(count):
        yield encode_record(*scale_documents.place(number), 1, store_documents.DATA)


def main(what: str, directory: Path, count: int) -> None:
    """Write the file."""
    kind, lines = (KIND, jobs) if what == "jobs" else (store_documents.KIND, documents)
    directory.mkdir(mode=0o700)
    with open(os.open(directory / f"{kind}.jsonl", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(encode_header(kind, datetime.now(UTC)))
        file.writelines(lines(count))
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
