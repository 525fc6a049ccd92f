"""Makes a store with SIZE documents, saved REVISIONS times each, of so many accounts: KIND PATH SIZE ACCOUNTS REVISIONS."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import store_diskcache
import store_sqlite
from consignee.store.record import encode_header, encode_record
from measuring import measured
from store_documents import DATA, KIND, place


def fill_consignee(directory: Path, size: int, accounts: int, revisions: int) -> None:
    """Write the file as so many saves leave it."""
    directory.mkdir(mode=0o700)
    with open(os.open(directory / f"{KIND}.jsonl", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(encode_header(KIND, datetime.now(UTC)))
        file.writelines(_lines(size, accounts, revisions))
        file.flush()
        os.fsync(file.fileno())


def _lines(size: int, accounts: int, revisions: int) -> Iterator[bytes]:
    for revision in range(1, revisions + 1):
        for number in range(size):
            yield encode_record(*place(number, accounts), revision, DATA)


def fill_sqlite(file: Path, size: int, accounts: int, _: int) -> None:
    """Make a database."""
    database, text = store_sqlite.opened(file), json.dumps(DATA)
    database.execute("BEGIN")
    database.executemany(store_sqlite.INSERT, ((*place(number, accounts), text) for number in range(size)))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def fill_diskcache(directory: Path, size: int, accounts: int, _: int) -> None:
    """Make a cache."""
    with store_diskcache.opened(directory) as cache, cache.transact():
        for number in range(size):
            cache.add(place(number, accounts), DATA)


FILL: Final[dict[str, Callable[[Path, int, int, int], None]]] = {
    "consignee": fill_consignee,
    "sqlite": fill_sqlite,
    "diskcache": fill_diskcache,
}

if __name__ == "__main__":
    size, accounts, revisions = map(int, sys.argv[3:6])
    with measured() as meter:
        FILL[sys.argv[1]](Path(sys.argv[2]), size, accounts, revisions)
    meter.report(size)
