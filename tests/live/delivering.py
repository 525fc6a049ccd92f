"""A delivery to a real service: a result set of small files and one in parts, removed again through the provider."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from consignee import Destinations, open_destinations
from consignee.delivery.dispatch import Source
from consignee.delivery.result_set import MANIFEST
from consignee.providers import Provider
from consignee.secret import Secret
from consignee.settings import SecretsSettings, Settings, StoreSettings
from providers.opening import opened

PART: Final = 5 * 1024 * 1024
"""The smallest part that S3 takes."""

FILES: Final[Mapping[str, int]] = {"small.txt": 100, "ä b+c.csv": 1000, "large.bin": PART + 1000}
ACCOUNT: Final = "live"
SECONDS: Final = 600.0


async def delivered(provider: Provider, fields: Mapping[str, Any], settings: Settings) -> None:
    """Deliver a result set, and remove its objects, also after a failure, which raises."""
    folder = f"consignee-live-test-{secrets.token_hex(4)}"
    try:
        async with _service(provider, settings) as destinations:
            await _deliver(destinations, {**fields, _prefix(provider): f"{folder}/%RESULT_SET_ID%"})
    finally:
        async with opened(provider, fields, settings) as bucket:
            for name in (*FILES, MANIFEST):
                await bucket.delete(f"{folder}/1/{name}")


def _prefix(provider: Provider) -> str:
    return next(name for name in provider.fields().fields if name.endswith("_path_prefix"))


async def _deliver(destinations: Destinations, fields: Mapping[str, Any]) -> None:
    made = await destinations.create(ACCOUNT, fields)
    about = {"name": "Live", "destination_ids": [made.id], "manifest": True}
    collection = await destinations.dispatch.collections.create(ACCOUNT, about)
    files: list[Source] = [(each, secrets.token_bytes(length)) for each, length in FILES.items()]
    await destinations.deliver(ACCOUNT, collection.id, files)
    await _ended(destinations, collection.id, made.id)


@asynccontextmanager
async def _service(provider: Provider, settings: Settings) -> AsyncIterator[Destinations]:
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        own = replace(
            settings,
            store=StoreSettings(path=str(Path(directory) / "store")),
            secrets=SecretsSettings(key=Secret(secrets.token_hex(32))),
            delivery=replace(settings.delivery, part_threshold=PART, part_size=PART, retries=("1s", "5s")),
        )
        yield await stack.enter_async_context(open_destinations(own, providers=[provider]))


async def _ended(destinations: Destinations, collection_id: str, destination_id: str) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            view = await destinations.dispatch.view(ACCOUNT, collection_id, 1)
            status = view["destination_status"][destination_id]
            if status["status"] in ("success", "failed", "skipped"):
                break
            await asyncio.sleep(0.1)
    assert status["status"] == "success", status["log"]
    assert status["files_done"] == len(FILES) + 1
    assert status["bytes_done"] > sum(FILES.values())
