"""Writes to a store from several tasks until it is killed. `python -m store.writing` forks such writers.

A writer tells which package it runs once the store is open. Each change is told to its file of events before it is asked
for, and again only after the store has returned.
"""

import asyncio
import json
import os
import random
import signal
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


async def write(directory: Path, events: Path) -> None:
    """Write until killed, or until the disk fails."""
    store = JsonFileStore(directory, compact_above=20_000)
    await store.open()
    fd = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _say(consignee.__file__)
    try:
        async with asyncio.TaskGroup() as tasks:
            for n in range(WRITERS):
                tasks.create_task(Writing(store, f"account{n}", fd).run())
    except* StoreError as errors:
        sys.stderr.write(f"{errors.exceptions[0]}\n")
    await store.close()


def _say(what: object) -> None:
    os.write(1, f"{what}\n".encode())


def _begin(directory: Path, events: Path) -> None:
    random.seed()
    _say(os.getpid())
    try:
        asyncio.run(write(directory, events))
    except StoreError as error:
        _say(error)
    signal.pause()


def main() -> None:
    """Do what the lines of JSON say: `[DIRECTORY, EVENTS]` forks a writer and tells its id, `"wait"` waits for its end."""
    child = 0
    for line in sys.stdin:
        if (asked := json.loads(line)) == "wait":
            os.waitpid(child, 0)
            _say("ended")
        elif (child := os.fork()) == 0:
            _begin(*map(Path, asked))


if __name__ == "__main__":
    main()
