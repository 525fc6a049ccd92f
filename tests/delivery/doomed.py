"""A service in a process of its own whose uploads end it, hang, or work: `doomed.py DIRECTORY deadly|hanging|working`.

It registers a destination and delivers one result set, if there is none yet. It prints `uploading` when an upload hangs,
and the delivery's status when that has ended, and ends then. What is deadly is so too when it is to abandon an upload.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from balky import fields
from consignee.body import Body
from consignee.destination import Draft
from consignee.opening import open_destinations
from consignee.providers import Bucket, Provider
from consignee.providers.base import Checkpoint
from consignee.providers.memory import MemoryFields
from consignee.sections import SecretsSettings, StoreSettings
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.transport import Transport

CANARY = "canary-upload-session-4711"


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class _Doom(Bucket):
    def __init__(self, mode: str) -> None:
        self._mode = mode
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        if checkpoint is None:  # the test of the destination
            return
        resumed = checkpoint.state.get("upload")
        await checkpoint.save({"upload": CANARY, "key": key})
        if self._mode == "deadly":
            os._exit(9)
        if self._mode == "hanging":
            _tell("uploading")
            await asyncio.Event().wait()
        _tell("resumed" if resumed == CANARY else "begun")

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:
        if self._mode == "deadly":
            os._exit(9)

    async def delete(self, key: str) -> None:
        pass


async def _ended(destinations: Destinations) -> None:
    if not (collections := await destinations.dispatch.collections.list("ann")):
        one = await destinations.create("ann", fields("bucket"))
        collections = [await destinations.dispatch.collections.create("ann", _named(one.id))]
        await destinations.deliver("ann", collections[0].id, [("a.txt", b"content")])
    (result_set,) = await destinations.dispatch.results.kept("ann", collections[0].id)
    while await destinations.dispatch.deliveries.unfinished("ann", result_set.id):
        await asyncio.sleep(0.01)
    view = await destinations.dispatch.view_of(result_set)
    _tell(json.dumps(next(iter(view["destination_status"].values()))))


def _named(destination_id: str) -> dict[str, object]:
    return {"name": "Shop", "destination_ids": [destination_id]}


async def _main(place: Path, mode: str) -> None:
    @asynccontextmanager
    async def opened(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        yield _Doom(mode)

    provider = Provider(type="memory", label="Memory", fields=MemoryFields, open=opened)
    secrets = SecretsSettings(key_file=str(place / "secret.key"))
    settings = replace(Settings(), store=StoreSettings(path=str(place / "store")), secrets=secrets)
    async with open_destinations(settings, providers=[provider]) as destinations:
        await _ended(destinations)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
