"""Creates that write one JSON file anew for all who wait: SIZE FILE COUNT WRITERS; with `tinydb` TinyDB, for each."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tinydb import TinyDB

from measuring import measured, spread
from store_documents import DATA, accounts_of, place
from store_groups import Commit, Groups


def key(number: int) -> str:
    """Return the key of the document of that number."""
    return "/".join(place(number, accounts_of(SIZE)))


def whole_file(file: Path) -> Commit:
    """Return what adds documents and writes all of them."""
    kept = {key(number): DATA for number in range(SIZE)}

    def commit(numbers: Sequence[int]) -> None:
        kept.update({key(SIZE + number): DATA for number in numbers})
        new = file.with_suffix(".new")
        with new.open("w") as written:
            written.write(json.dumps(kept))
            written.flush()
            os.fsync(written.fileno())
        new.replace(file)
        directory = os.open(file.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    return commit


def tinydb(file: Path) -> Commit:
    """Return what inserts documents, one after the other."""
    file.unlink(missing_ok=True)
    table = TinyDB(file).table("documents")
    table.insert_multiple({"key": key(number), **DATA} for number in range(SIZE))

    def commit(numbers: Sequence[int]) -> None:
        for number in numbers:
            table.insert({"key": key(SIZE + number), **DATA})

    return commit


async def main(commit: Commit, count: int, writers: int, most: int) -> None:
    """Create so many, with so many writers."""
    groups = Groups(commit, most=most)
    with measured() as meter:
        await spread(count, writers, groups.create)
    meter.report(count)


SIZE, FILE, COUNT, WRITERS = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if sys.argv[5:] == ["tinydb"]:
    asyncio.run(main(tinydb(FILE), COUNT, WRITERS, 1))
else:
    asyncio.run(main(whole_file(FILE), COUNT, WRITERS, WRITERS))
