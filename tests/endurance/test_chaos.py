"""Deliveries to storage that fails in every way, by a service that is killed again and again: nothing may be lost."""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from fakes.chaos_process import ChaosServer, State, chaos_process
from samples.serving import serving

from .service import Api, bucket, sha256, write_config

DELIVERIES = int(os.environ.get("DELIVERIES", "200"))
KILL_EVERY = float(os.environ.get("KILL_EVERY", "2"))
BUCKETS = 10
FAULTS: dict[str, Any] = {
    "drop": 0.01,
    "stall": 0.002,
    "error500": 0.01,
    "error503": 0.01,
    "cut": 0.002,
    "error_after": 0.002,
    "drop_after": 0.002,
    "stall_seconds": 30,
    "retry_after": 1,
}
SETTINGS = """\
retries = ["1s", "1s", "1s", "2s", "2s", "2s", "3s", "3s", "3s", "3s", "3s", "3s"]
crashes = 1000
idle_timeout = 2
"""
MOST_SECONDS = 900.0


class Chaos:
    """One run: what was acknowledged, and the service as it is now."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.expected: dict[str, str] = {}
        """The SHA-256 of each object that must be there, by its place."""
        self.kills = 0

    async def produce(self, collection: str, first: int, last: int) -> None:
        """Upload result sets of one file each, and remember what was acknowledged."""
        for number in range(first, last):
            content = random.Random(number).randbytes(1000)
            result = await self._api.upload(collection, {f"file-{number}.bin": content})
            for place in range(BUCKETS):
                key = f"bucket-{place:03d}/exports/{result['id']}/file-{number}.bin"
                self.expected[key] = sha256(content)

    async def kill_again_and_again(self, config: Path, done: asyncio.Event) -> None:
        """Start the service, kill it, start it again, until all is done."""
        while not done.is_set():
            with serving(config, coverage=False) as server:
                self._api.url = server.url
                try:
                    async with asyncio.timeout(KILL_EVERY):
                        await done.wait()
                except TimeoutError:
                    server.kill()
                    self.kills += 1


def missing(state: State, expected: Mapping[str, str]) -> list[str]:
    """Return the objects that are not there, or are not what was uploaded."""
    return [key for key, digest in expected.items() if key not in state.objects or state.objects[key].sha256 != digest]


async def _all_there(
    server: ChaosServer, chaos: Chaos, producing: asyncio.Future[list[None]], done: asyncio.Event
) -> None:
    await producing
    while missing(await asyncio.to_thread(server.state), chaos.expected):
        await asyncio.sleep(0.5)
    done.set()


async def test_nothing_is_lost_whatever_the_storage_does_and_however_often_the_service_is_killed(
    tmp_path: Path,
) -> None:
    """`DELIVERIES` says how many, `KILL_EVERY` after how many seconds the service is killed each time."""
    config = write_config(tmp_path, delivery=SETTINGS)
    began = time.monotonic()
    with chaos_process("bucket-*", directory=tmp_path) as storage:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            api = Api(session, "")
            chaos, done = Chaos(api), asyncio.Event()
            with serving(config, coverage=False) as server:
                api.url = server.url
                ids = [await bucket(api, storage, number) for number in range(BUCKETS)]
                collection = await api.collection("chaos", ids)
            storage.set_faults(**FAULTS)
            sets, producers = DELIVERIES // BUCKETS, 8
            producing = asyncio.gather(
                *(
                    chaos.produce(collection, sets * n // producers, sets * (n + 1) // producers)
                    for n in range(producers)
                )
            )
            async with asyncio.timeout(MOST_SECONDS):
                await asyncio.gather(
                    chaos.kill_again_and_again(config, done), _all_there(storage, chaos, producing, done)
                )
            state = storage.state()
    assert len(chaos.expected) == sets * BUCKETS
    assert missing(state, chaos.expected) == []
    share = state.repeated / len(chaos.expected)
    seconds = time.monotonic() - began
    print(  # noqa: T201
        f"{len(chaos.expected)} deliveries, {chaos.kills} kills, 0 lost, {state.repeated} repeated PUTs ({share:.1%}), "
        f"faults {dict(state.faults)}, {seconds:.0f} s"
    )
