"""A server that is told to stop while much is asked of it: what it answered with success is there after the next start."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from samples.serving import serving

from .load import Line, message
from .service import KEY, Api, write_config

LINES = int(os.environ.get("STOP_LINES", "20"))
ROUNDS = int(os.environ.get("STOP_ROUNDS", "1"))
FIRST = 100
"""So many are answered with success before it is told to stop."""
MOST_SECONDS = 25.0
_FIELDS = {
    "type": "s3",
    "enabled": False,
    "s3_access_key_id": "id",
    "s3_secret_access_key": "secret",
    "s3_bucket_name": "bucket",
}
_BOUNDARY = "consignee-test"


def a_destination(name: str) -> bytes:
    """Return a request that makes a disabled destination."""
    return message("POST", "/destinations", key=KEY, content={**_FIELDS, "name": name})


def an_upload(collection: str, name: str) -> bytes:
    """Return a request that uploads a result set of one file of that name."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = f"{head}{'x' * 1000}\r\n--{_BOUNDARY}--\r\n"
    return (
        f"POST /collections/{collection}/results HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Asked:
    """What was asked, and what came of it."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.ends: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._count = 0

    async def ask_until_closed(self, url: str, collection: str, *, uploads: bool) -> None:
        """Ask one thing after the other on one connection, until the server closes it."""
        line, status = Line(url), 0
        try:
            while not status or line.is_open:
                self._count += 1
                name = f"{'file' if uploads else 'destination'}-{self._count}"
                status, _, _ = await line.ask(an_upload(collection, name) if uploads else a_destination(name))
                if status == 200:
                    self.accept(name)
            self.ends["answered"] += 1
        except asyncio.IncompleteReadError as error:
            self.ends["cut off" if error.partial else "closed"] += 1
        except ConnectionError:
            self.ends["closed"] += 1

    def accept(self, name: str) -> None:
        """Remember that it was answered with success."""
        self.accepted.add(name)
        if len(self.accepted) % FIRST == 0:
            self.enough.set()


async def stopped(config: Path, asked: Asked, collection: str) -> float:
    """Start, ask, stop in the middle; return the seconds that the stop took."""
    asked.enough.clear()
    with serving(config, coverage=False) as server:
        async with asyncio.TaskGroup() as group:
            for number in range(LINES):
                group.create_task(asked.ask_until_closed(server.url, collection, uploads=number % 2 == 0))
            await asyncio.wait_for(asked.enough.wait(), 60)
            began = time.monotonic()
            assert await asyncio.to_thread(server.stop) == 0
            return time.monotonic() - began


async def kept(config: Path, collection: str) -> set[str]:
    """Return the names of all destinations and files that there are after another start."""
    with serving(config, coverage=False) as server:
        async with aiohttp.ClientSession() as session:
            api = Api(session, server.url)
            names = {one["name"] for one in await pages(api, "/destinations", "destinations")}
            results = await api.get(f"/collections/{collection}/results?page_size=100")
            for page in range(1, -(-results["results_count"] // 100) + 1):
                results = await api.get(f"/collections/{collection}/results?page_size=100&page={page}")
                for one in results["results"]:
                    names |= await files(api, collection, one["id"])
            return names


async def files(api: Api, collection: str, number: int) -> set[str]:
    """Return the names of a result set's files."""
    result = (await api.get(f"/collections/{collection}/results/{number}"))["result"]
    return {link.rpartition("/")[2] for link in result["download_links"]["pages"]}


async def pages(api: Api, path: str, field: str) -> list[dict[str, Any]]:
    """Return what is on all pages of a list."""
    found: list[dict[str, Any]] = []
    while page := (await api.get(f"{path}?page_size=100&page={len(found) // 100 + 1}"))[field]:
        found += page
        if len(page) < 100:
            break
    return found


async def test_what_was_answered_is_there_after_the_next_start(tmp_path: Path) -> None:
    """`STOP_LINES` connections ask without a pause, half of them for uploads, in each of `STOP_ROUNDS`."""
    config = write_config(tmp_path)
    with serving(config, coverage=False) as server:
        async with aiohttp.ClientSession() as session:
            collection = await Api(session, server.url).collection("all", [])
    asked, seconds = Asked(), []
    for _ in range(ROUNDS):
        seconds.append(await stopped(config, asked, collection))
    lost = asked.accepted - await kept(config, collection)
    assert lost == set()
    assert max(seconds) < MOST_SECONDS
    assert asked.ends["cut off"] == 0 and asked.ends.total() == LINES * ROUNDS
    print(  # noqa: T201
        f"{ROUNDS} stops under {LINES} connections: {len(asked.accepted)} accepted, {len(lost)} lost, "
        f"connections: {dict(asked.ends)}, longest stop {max(seconds):.1f} s, status 0"
    )
