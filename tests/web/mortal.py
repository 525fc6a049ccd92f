"""The service in processes that end in the middle, one after the other.

Each line of the input is JSON, `[directory, kind, number, when]`, and begins a process with the store of that directory. It
ends, as `kill -9` does it, `before` or `after` its save of that number of a document of that kind; a number of 0: never. A
line of the output says its id and its URL when it answers, another its status when it has ended. Its storage is in memory.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.sections import AccountsSettings, FixedAccount, SecretsSettings, ServerSettings, StoreSettings
from consignee.settings import Settings
from consignee.store import Data, Document
from consignee.store.json_file import JsonFileStore
from consignee.web import create_app
from consignee.web.server import serve


class _Mortal(JsonFileStore):
    """A store that ends the process when a document is saved."""

    def __init__(self, path: Path, kind: str, number: int, *, after: bool) -> None:
        super().__init__(path)
        self._doom = kind, number
        self._after = after
        self._saved: Counter[str] = Counter()

    async def save(
        self,
        kind: str,
        account: str,
        id: str,  # noqa: A002
        data: Data,
        *,
        replaces: int = 0,
        limit: int | None = None,
    ) -> Document:
        self._saved[kind] += 1
        doomed = self._doom == (kind, self._saved[kind])
        if doomed and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        saved = await super().save(kind, account, id, data, replaces=replaces, limit=limit)
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return saved


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _main(place: Path, kind: str, number: int, when: str) -> None:
    settings = replace(
        Settings(),
        server=ServerSettings(port=0, shutdown_timeout=1),
        store=StoreSettings(path=str(place / "store")),
        secrets=SecretsSettings(key_file=str(place / "secret.key")),
        accounts=AccountsSettings(fixed=(FixedAccount("ann", Secret("key-a")),)),
    )
    store = _Mortal(place / "store", kind, number, after=when == "after")
    await store.open()
    try:
        providers = [MemoryStorage("bucket").provider]
        await serve(
            settings,
            ready=lambda url: _say(f"{os.getpid()} {url}"),
            app=create_app(settings, store=store, providers=providers),
        )
    finally:
        await store.close()


def _forever() -> None:
    for line in sys.stdin:
        place, kind, number, when = json.loads(line)
        if (child := os.fork()) == 0:
            asyncio.run(_main(Path(place), kind, number, when))
            os._exit(0)
        _say(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


if __name__ == "__main__":
    _forever()
