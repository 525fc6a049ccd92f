"""Writes to a store from several tasks until it is killed: `python -m store.writing DIRECTORY EVENTS [COMPACT_ABOVE]`.

Prints which package it runs once the store is open. Each change is told to the file EVENTS before it is asked for, and
again only after the store has returned.
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import consignee
from consignee.errors import StoreError
from consignee.store import Store
from consignee.store.json_file import JsonFileStore

KIND = "destinations"
WRITERS = 4
DOCUMENTS = 6


class Writing:
    """One account's writer."""

    def __init__(self, store: Store, account: str, events: int) -> None:
        self._store = store
        self._account = account
        self._events = events
        self._revisions: dict[str, int] = {}

    async def run(self) -> None:
        """Change documents at random, for ever."""
        self._revisions = {d.id: d.revision for d in await self._store.list(KIND, self._account)}
        while True:
            id_ = str(random.randrange(DOCUMENTS))
            if id_ in self._revisions and random.random() < 0.2:
                await self._remove(id_)
            else:
                await self._save(id_)

    async def _save(self, id_: str) -> None:
        value = f"{random.getrandbits(64):x}"
        revision = self._revisions.get(id_, 0)
        self._tell("begin", id_, value)
        data = {"value": value, "filler": "ü" * random.randrange(600)}
        saved = await self._store.save(KIND, self._account, id_, data, replaces=revision)
        self._tell("acknowledge", id_, value)
        self._revisions[id_] = saved.revision

    async def _remove(self, id_: str) -> None:
        self._tell("begin", id_, None)
        await self._store.remove(KIND, self._account, id_, replaces=self._revisions.pop(id_))
        self._tell("acknowledge", id_, None)

    def _tell(self, what: str, id_: str, value: str | None) -> None:
        line = json.dumps([what, f"{self._account}/{id_}", value]) + "\n"
        os.write(self._events, line.encode())


async def main(directory: Path, events: Path, compact_above: int = 20_000) -> None:
    """Write until killed, or until the disk fails."""
    store = JsonFileStore(directory, compact_above=compact_above)
    await store.open()
    fd = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.write(f"{consignee.__file__}\n")
    sys.stdout.flush()
    try:
        async with asyncio.TaskGroup() as tasks:
            for n in range(WRITERS):
                tasks.create_task(Writing(store, f"account{n}", fd).run())
    except* StoreError as errors:
        sys.stderr.write(f"{errors.exceptions[0]}\n")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])))
