"""Result sets through consignee's embedded library: handed over, kept durably, delivered, and all acknowledged."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from consignee import Settings, open_destinations
from consignee.sections import DeliverySettings, EgressSettings, SecretsSettings, StoreSettings
from consignee.service import Destinations
from consignee.store.json_file import JsonFileStore
from measuring import measured, spread

ACCOUNT = "bench"
PRODUCERS = 64
"""How many hand over at once."""
POLL = 0.02


class Syncs:
    """Counts what this process has the disk make durable."""

    def __init__(self) -> None:
        self.count = 0
        os.fsync, os.fdatasync = self._counted(os.fsync), self._counted(os.fdatasync)

    def _counted(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def counted(fd: int) -> None:
            self.count += 1
            sync(fd)

        return counted


def settings(home: Path, at_once: int) -> Settings:
    """As a user would write them, but for what lets a sink on loopback be a destination."""
    return replace(
        Settings(),
        store=StoreSettings(path=str(home / "store")),
        secrets=SecretsSettings(key_file=str(home / "secret.key")),
        egress=EgressSettings(allow=("127.0.0.1/32:*",), allow_http=True),
        delivery=DeliverySettings(per_destination=at_once),
    )


async def collection(destinations: Destinations, url: str) -> str:
    """Return the id of a collection that delivers to the sink."""
    values = {
        "type": "s3compatible",
        "name": "Sink",
        "enabled": True,
        "s3_access_key_id": "bench",
        "s3_secret_access_key": "bench-bench-bench",
        "s3_bucket_name": "bucket",
        "s3_endpoint": url,
        "s3_region": "us-east-1",
        "s3_path_prefix": "ours/%RESULT_SET_ID%",
    }
    made = await destinations.create(ACCOUNT, values)
    fields = {"name": "Bench", "destination_ids": [made.id]}
    return (await destinations.dispatch.collections.create(ACCOUNT, fields)).id


async def hand_over_all(destinations: Destinations, collection_id: str, sets: Sequence[Sequence[Path]]) -> None:
    """Return when the last ones are delivered; what came before them is looked at when the time is taken."""

    async def hand_over(number: int) -> None:
        await destinations.deliver(ACCOUNT, collection_id, sets[number])

    await spread(len(sets), PRODUCERS, hand_over)
    for number in range(len(sets), max(0, len(sets) - PRODUCERS), -1):
        while not await _is_delivered(destinations, collection_id, number):
            await asyncio.sleep(POLL)


async def require_delivered(destinations: Destinations, collection_id: str, count: int) -> None:
    """Raise RuntimeError unless all of them are delivered already."""
    for number in range(1, count + 1):
        if not await _is_delivered(destinations, collection_id, number):
            raise RuntimeError(f"result set {number} was not delivered when the time was taken")


async def _is_delivered(destinations: Destinations, collection_id: str, number: int) -> bool:
    status = await destinations.dispatch.status(ACCOUNT, collection_id, number)
    return all(one["status"] == "success" for one in status["destination_status"].values())


async def main(url: str, source: Path, home: Path, at_once: int) -> None:
    logging.basicConfig(level=logging.ERROR)
    sets = [sorted(folder.iterdir()) for folder in sorted(source.iterdir())]
    files, syncs = sum(map(len, sets)), Syncs()
    async with open_destinations(settings(home, at_once)) as destinations:
        collection_id = await collection(destinations, url)
        store = destinations.store
        assert isinstance(store, JsonFileStore)
        commits, synced = store.commits, syncs.count
        with measured() as meter:
            await hand_over_all(destinations, collection_id, sets)
        await require_delivered(destinations, collection_id, len(sets))
        commits, synced = store.commits - commits, syncs.count - synced
        meter.report(files, commits=commits / files, syncs=synced / files)


work = main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
if sys.argv[5:] == ["uvloop"]:
    import uvloop

    uvloop.run(work)
else:
    asyncio.run(work)
