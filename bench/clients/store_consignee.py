"""Creates in a JSON-file store that has `size` documents: SIZE DIRECTORY COUNT WRITERS. Leaves the directory as it was."""

import asyncio
import os
import sys
from pathlib import Path

from consignee.store.json_file import JsonFileStore
from measuring import measured, spread
from store_documents import DATA, KIND, LIMIT, accounts_of, place


async def main(size: int, directory: Path, count: int, writers: int) -> None:
    """Create so many, with so many writers."""
    accounts, file = accounts_of(size), directory / f"{KIND}.jsonl"
    before = file.stat().st_size
    store = JsonFileStore(directory)
    await store.open()

    async def create(number: int) -> None:
        await store.save(KIND, *place(size + number, accounts), DATA, limit=LIMIT)

    with measured() as meter:
        await spread(count, writers, create)
    commits = store.commits
    await store.close()
    os.truncate(file, before)
    meter.report(count, per_commit=count / commits)


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
