"""A service that takes in result sets and delivers them: what `store.faulty` runs against a failing disk.

What is delivered goes to files beside the watched directory, so that it is there in the next process.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from balky import fields
from consignee.body import Body
from consignee.delivery.result_set import ResultSet
from consignee.destination import Draft
from consignee.errors import StoreError
from consignee.opening import open_destinations
from consignee.providers import Bucket, Provider
from consignee.providers.base import Checkpoint
from consignee.providers.memory import MemoryFields
from consignee.sections import DeliverySettings, SecretsSettings, StoreSettings
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.transport import Transport

SETS = 2
LONG = 20.0


class _Shelf(Bucket):
    """A bucket in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        content = b"".join([chunk async for chunk in body.chunks()])
        self._directory.mkdir(exist_ok=True)
        (self._directory / key.replace("/", "_")).write_bytes(content)

    async def delete(self, key: str) -> None:
        (self._directory / key.replace("/", "_")).unlink(missing_ok=True)


def _provider(directory: Path) -> Provider:
    @asynccontextmanager
    async def opened(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        yield _Shelf(directory)

    return Provider(type="memory", label="Memory", fields=MemoryFields, open=opened)


def _service(directory: Path) -> Any:
    secrets = SecretsSettings(key_file=str(directory.parent / "secret.key"))
    delivery = DeliverySettings(retries=("1s",) * 9, lease=1, crashes=100)
    settings = replace(Settings(), store=StoreSettings(path=str(directory)), secrets=secrets, delivery=delivery)
    return open_destinations(settings, providers=[_provider(directory.parent / "shelf")])


def files_of(number: int) -> dict[str, bytes]:
    """Return the files of a result set."""
    return {f"{number}-a": b"a" * 3000 * number, f"{number}-b": b""}


async def run(directory: Path, told: Callable[..., None]) -> None:
    """Tell what is acknowledged and refused."""
    try:
        async with _service(directory) as destinations:
            await _take_in(destinations, told)
    except StoreError as error:
        told("unusable", str(error))


async def _take_in(destinations: Destinations, told: Callable[..., None]) -> None:
    try:
        one = await destinations.create("ann", fields("bucket", memory_path_prefix="%RESULT_SET_ID%"))
        collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [one.id]})
    except StoreError as error:
        told("refused", str(error))
        return
    for number in range(1, SETS + 1):
        try:
            await destinations.deliver("ann", collection.id, files_of(number).items())
            told("acknowledge", number)
        except StoreError as error:
            told("refused", str(error))
    await _settled(destinations)
    if (doomed := await _second(destinations, one.id, told)) is not None:
        await _settled(destinations)
        await _removed(destinations, doomed, told)


async def _second(destinations: Destinations, destination_id: str, told: Callable[..., None]) -> str | None:
    """Take in a set of another collection, and return that one's id."""
    try:
        values = {"name": "D", "destination_ids": [destination_id]}
        collection = await destinations.dispatch.collections.create("ann", values)
        await destinations.deliver("ann", collection.id, files_of(3).items())
    except StoreError as error:
        told("refused", str(error))
        return None
    return collection.id


async def _removed(destinations: Destinations, collection_id: str, told: Callable[..., None]) -> None:
    try:
        await destinations.dispatch.collections.delete("ann", collection_id)
        told("removed", collection_id)
    except StoreError as error:
        told("refused", str(error))


async def _settled(destinations: Destinations) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LONG):
            while destinations.store.writable and await _unfinished(destinations):
                await asyncio.sleep(0.01)


async def _unfinished(destinations: Destinations) -> bool:
    dispatch, ids = destinations.dispatch, await destinations.store.ids("result_sets", "ann")
    return any([await dispatch.deliveries.unfinished("ann", one) for one in ids])


async def look(directory: Path) -> dict[str, Any]:
    """Let everything be delivered, and return what there is then."""
    async with _service(directory) as destinations:
        async with asyncio.timeout(LONG):
            while await _unfinished(destinations):
                await asyncio.sleep(0.01)
        return {"sets": await _sets(destinations), "spool": _lying_in(directory), "shelf": _shelf(directory)}


async def _sets(destinations: Destinations) -> dict[str, Any]:
    found = {}
    for collection in await destinations.dispatch.collections.list("ann"):
        for result_set in await destinations.dispatch.results.kept("ann", collection.id):
            jobs = await destinations.dispatch.deliveries.of("ann", result_set.id)
            contents = {one.name: await _digest(destinations, result_set, one.name) for one in result_set.files}
            statuses = [job.data["status"] for job in jobs.values()]
            found[result_set.id] = {"files": contents, "token": result_set.token, "statuses": statuses}
    return found


async def _digest(destinations: Destinations, result_set: ResultSet, name: str) -> str:
    body = destinations.dispatch.results.file(result_set, name)
    return digest(b"".join([chunk async for chunk in body.chunks()]))


def digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _lying_in(directory: Path) -> dict[str, list[str]]:
    return {name: sorted(path.name for path in (directory / "spool" / name).iterdir()) for name in ("incoming", "kept")}


def _shelf(directory: Path) -> dict[str, str]:
    return {path.name: digest(path.read_bytes()) for path in (directory.parent / "shelf").glob("*")}
