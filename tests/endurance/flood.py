"""A customer who asks for more than his share, in a process of his own: `flood.py URL KEY COLLECTION HANGING`.

He hands over result sets, tests destinations at the URL `HANGING`, and asks for lists, many of each at once and without end.
Once lists and uploads were answered he prints a line. When his input ends, he ends, and prints how many answers he got of each
status.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import aiohttp

UPLOADS = 4
SETS = 40
TESTS = 100
LISTS = 20
PAUSE = 0.05
_FIELDS = {
    "type": "s3compatible",
    "name": "hanging",
    "enabled": True,
    "s3_access_key_id": "key",
    "s3_secret_access_key": "secret",
    "s3_bucket_name": "bucket",
    "s3_region": "eu-west-1",
}


class Flood:
    """What he does, and what he was answered."""

    def __init__(self, session: aiohttp.ClientSession, collection: str, hanging: str) -> None:
        self._session = session
        self._collection = collection
        self._hanging = hanging
        self._sets = 0
        self.answers: Counter[str] = Counter()
        self.under_way = asyncio.Event()

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for work, at_once in ((self._upload, UPLOADS), (self._test, TESTS), (self._list, LISTS)):
                for _ in range(at_once):
                    tasks.create_task(self._again_and_again(work))

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(aiohttp.ClientError, OSError):
                await work()

    async def _upload(self) -> None:
        self._sets += 1
        if self._sets > SETS:  # enough is waiting to be delivered
            await asyncio.sleep(1)
            return
        form = aiohttp.FormData()
        form.add_field("file", b"a" * 1000, filename="a.bin")
        await self._ask("upload", "POST", f"/collections/{self._collection}/results", data=form)

    async def _test(self) -> None:
        await self._ask("test", "POST", "/destinations/test", json={**_FIELDS, "s3_endpoint": self._hanging})

    async def _list(self) -> None:
        for path in ("/destinations?page_size=100", "/deliveries?page_size=100", "/collections?page_size=100"):
            await self._ask("list", "GET", path)

    async def _ask(self, what: str, method: str, path: str, **body: object) -> None:
        async with self._session.request(method, path, **body) as response:  # type: ignore[arg-type]
            await response.read()
        self.answers[f"{what} {response.status}"] += 1
        if self.answers["list 200"] and self.answers["upload 200"]:
            self.under_way.set()
        if response.status in (429, 503):
            await asyncio.sleep(PAUSE)


async def _main(url: str, key: str, collection: str, hanging: str) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers={"X-API-Key": key}, connector=connector) as session:
        flood = Flood(session, collection, hanging)
        running = asyncio.create_task(flood.run())
        await flood.under_way.wait()
        print("under way", flush=True)  # noqa: T201
        await asyncio.get_running_loop().run_in_executor(None, partial(sys.stdin.read))
        sys.stdout.write(json.dumps(flood.answers))
        sys.stdout.flush()
        os._exit(running.done())  # what is under way, he does not wait for


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
