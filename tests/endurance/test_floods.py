"""One account's floods: how far they slow another account down, and that they stop nothing of it."""

import asyncio
import json
import os
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from consignee.delivery.sending import share_of
from consignee.sections import DeliverySettings
from fakes.chaos_process import ChaosServer, chaos_process
from fakes.hostile import hanging
from samples.serving import serving

from .service import Api, bucket, write_config
from .test_dead_destination import waits

ROUNDS = int(os.environ.get("ROUNDS", "1"))
SETS = 6
REQUESTS = 20
TESTS = 3
SLOW = 15
"""Destinations of the account that floods, all in one slow bucket: together they may have more uploads than there are places."""
SLOWNESS = 1000.0
"""Milliseconds that an upload to that bucket takes."""
TESTS_DIR = Path(__file__).parent.parent
_SETTINGS = """\
[verification]
timeout = 2
[[accounts.fixed]]
name = "flood"
api_key = "key-of-the-flood"
"""

Times = Mapping[str, list[float]]


async def measure(api: Api, collection: str, destination: str, times: dict[str, list[float]]) -> None:
    """Do what an ordinary customer does, one after the other, and note how many seconds each took."""

    async def timed(what: str, asked: Any) -> Any:
        began = time.monotonic()
        answer = await asked
        times[what].append(time.monotonic() - began)
        return answer

    sets = [await timed("upload", api.upload(collection, {"b.bin": b"b" * 1000})) for _ in range(SETS)]
    for _ in range(REQUESTS):
        await timed("list", api.get("/destinations"))
    for _ in range(TESTS):
        await timed("test", api.post(f"/destinations/{destination}/test", {}))
    results = [await delivered(api, collection, one["id"]) for one in sets]
    times["delivery"] += waits(results, but="")


async def delivered(api: Api, collection: str, number: int) -> dict[str, Any]:
    """Return a result set once it is delivered."""
    while True:
        result: dict[str, Any] = (await api.get(f"/collections/{collection}/results/{number}"))["result"]
        if all(one["status"] == "success" for one in result["destination_status"].values()):
            return result
        await asyncio.sleep(0.05)


@asynccontextmanager
async def flooded(api: Api, collection: str, hanging_url: str, storage: ChaosServer) -> AsyncIterator[dict[str, int]]:
    """Have the other account flood the service meanwhile; fills in what that was answered, in the end."""
    answers: dict[str, int] = {}
    program = [sys.executable, "-m", "endurance.flood", api.url, api.key, collection, hanging_url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS_DIR), os.environ.get("PYTHONPATH", "")])}
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, env=environment)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        while not (await asyncio.to_thread(storage.state)).busy.get("bucket-000"):
            await asyncio.sleep(0.05)
        yield answers
    finally:
        printed, _ = await process.communicate(b"")
    answers.update(json.loads(printed))


async def test_one_accounts_floods_leave_another_its_share(tmp_path: Path) -> None:
    """Everything of the other account goes well, and the flood never has more places than it may; the times are printed."""
    config = write_config(tmp_path, providers=_SETTINGS)
    quiet: dict[str, list[float]] = defaultdict(list)
    under: dict[str, list[float]] = defaultdict(list)
    async with hanging() as hole, aiohttp.ClientSession() as session, asyncio.timeout(600):
        with chaos_process("bucket-*", directory=tmp_path) as storage, serving(config, coverage=False) as server:
            # Tried once: the one account is refused nothing, whatever the other does.
            own, other = Api(session, server.url, tries=1), Api(session, server.url, key="key-of-the-flood")
            destination = await bucket(own, storage, 1)
            collection = await own.collection("own", [destination])
            slow = [await bucket(other, storage, 0) for _ in range(SLOW)]
            flood = await other.collection("flood", slow)
            storage.set_faults(bucket="bucket-000", delay=SLOWNESS)
            for _ in range(ROUNDS):
                await measure(own, collection, destination, quiet)
                async with flooded(other, flood, hole.url, storage) as answers:
                    await measure(own, collection, destination, under)
            at_once = (await asyncio.to_thread(storage.state)).most_at_once["bucket-000"]
    places = DeliverySettings().concurrency
    assert share_of(places) // 2 < at_once <= share_of(places)
    assert answers["list 200"] and answers["upload 200"]
    assert len(under["delivery"]) == len(quiet["delivery"]) == ROUNDS * SETS
    print(f"flood, at most {at_once} of {places} places: {answers}\n" + _told(quiet, under))  # noqa: T201


def _told(quiet: Times, under: Times) -> str:
    lines = []
    for what in quiet:
        one, other = (statistics.median(times[what]) * 1000 for times in (quiet, under))
        lines.append(f"{what}: median {one:.0f} ms alone, {other:.0f} ms beside the flood ({other / one:.1f})")
    return "\n".join(lines)
