"""Measures consignee beside what a user would pick instead, interleaved, and prints ratios of medians.

    make bench            python bench/run.py [--rounds N]

Machines are noisy: only the ratios of one run mean something, never the rates alone.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import web

from consignee.body import BytesBody
from consignee.catalog import Catalog
from consignee.outlets import open_outlets, policy
from consignee.providers import discover
from consignee.settings import EgressSettings, Settings
from consignee.store.json_file import JsonFileStore

WRITES = 640
PUTS = 320
DATA = {"name": "x" * 40, "settings": {"bucket": "y" * 20}, "secrets": {"key": "z" * 120}}
KEYS = ("bench-key", "bench-secret")
Measure = Callable[[], Awaitable[float]]


async def _rate(count: int, work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return count / (time.perf_counter() - began)


async def _shared(count: int, workers: int, one: Callable[[int], Awaitable[object]]) -> None:
    async def worker(first: int) -> None:
        for number in range(first, count, workers):
            await one(number)

    async with asyncio.TaskGroup() as group:
        for first in range(workers):
            group.create_task(worker(first))


async def json_store(workers: int) -> float:
    """Durable creates a second in our store."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        store = JsonFileStore(Path(directory))
        await store.open()
        rate = await _rate(
            WRITES, _shared(WRITES, workers, lambda number: store.save("bench", "a", f"{number:08X}", DATA))
        )
        await store.close()
        return rate


async def sqlite_store() -> float:
    """Durable creates a second in SQLite, WAL and synchronous=FULL, a commit for each."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        database = sqlite3.connect(f"{directory}/db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, data TEXT)")

        async def one(number: int) -> None:
            database.execute("INSERT INTO documents VALUES (?, ?)", (f"{number:08X}", str(DATA)))

        rate = await _rate(WRITES, _shared(WRITES, 1, one))
        database.close()
        return rate


async def bare_sync() -> float:
    """Appends with a bare fdatasync a second: the limit for one writer."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        descriptor = os.open(f"{directory}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        async def one(number: int) -> None:
            os.write(descriptor, b"x" * 300)
            os.fdatasync(descriptor)

        rate = await _rate(WRITES, _shared(WRITES, 1, one))
        os.close(descriptor)
        return rate


@asynccontextmanager
async def _sink() -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(headers={"ETag": '"x"'})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def our_puts(url: str) -> float:
    """Uploads of 1 KB a second through our own bucket, 16 at once."""
    egress = EgressSettings(allow=("127.0.0.1/32:*",), allow_http=True)
    settings = replace(Settings(), egress=egress)
    provider = discover()["s3compatible"]
    fields = {"type": "s3compatible", "name": "x", "enabled": False, "s3_endpoint": url, "s3_bucket_name": "bench"}
    fields |= {"s3_access_key_id": KEYS[0], "s3_secret_access_key": KEYS[1]}
    draft = Catalog([provider], policy(egress)).parse(fields)
    body = BytesBody(b"x" * 1024)
    async with open_outlets(settings) as outlets, provider.open(draft, {}, outlets.transport(provider)) as bucket:
        await bucket.put("warm", body)
        return await _rate(PUTS, _shared(PUTS, 16, lambda number: bucket.put(f"key-{number}", body)))


async def sdk_puts(url: str) -> float:
    """The same through aiobotocore's client, warmed up."""
    config = AioConfig(s3={"addressing_style": "path"}, max_pool_connections=16)
    options = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1], "region_name": "us-east-1"}
    async with get_session().create_client("s3", endpoint_url=url, config=config, **options) as client:
        await client.put_object(Bucket="bench", Key="warm", Body=b"x" * 1024)
        return await _rate(
            PUTS,
            _shared(PUTS, 16, lambda number: client.put_object(Bucket="bench", Key=f"key-{number}", Body=b"x" * 1024)),
        )


async def _compare(title: str, measures: dict[str, Measure], rounds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            rates[name].append(await measure())
    ours = statistics.median(rates["consignee"])
    print(f"\n{title}: median of {rounds} rounds, interleaved")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(
            f"  {name:34} {middle:9.0f}/s  ({min(found):.0f} to {max(found):.0f})  consignee is x {ours / middle:.2f}"
        )


async def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for writers in (1, 64):
        measures: dict[str, Measure] = {
            "consignee": lambda writers=writers: json_store(writers),  # type: ignore[misc]
            "SQLite, WAL, a commit for each": sqlite_store,
            "bare fdatasync, one writer": bare_sync,
        }
        await _compare(f"durable creates, {writers} at once", measures, rounds)
    async with _sink() as url:
        puts: dict[str, Measure] = {
            "consignee": lambda: our_puts(url),
            "aiobotocore put_object": lambda: sdk_puts(url),
        }
        await _compare("uploads of 1 KB over http, 16 at once, to a sink in the same process", puts, rounds)


if __name__ == "__main__":
    asyncio.run(main())
