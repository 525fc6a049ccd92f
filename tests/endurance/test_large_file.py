"""A file too large for memory goes to three clouds in parts; the service is killed in the middle, and goes on."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from canaries import OSS_SECRET
from consignee.demo.azurite import AzuriteServer, running_azurite
from fakes.chaos_process import ChaosServer, chaos_process
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from samples.serving import Serving, serving

from .service import KEY, Api, bucket, memory_of, write_config

LARGE_BYTES = int(os.environ.get("LARGE_BYTES", str(48 << 20)))
CHUNK = 1 << 20
ACCOUNT, ACCOUNT_KEY = "largeaccount", "bGFyZ2UgYWNjb3VudCBrZXk="
PROVIDERS = """
[providers.azure]
endpoint_url = "{azure}/{{account}}"
[providers.oss]
endpoint_url = "{oss}"
"""
SETTINGS = """
retries = ["1s", "1s", "1s", "2s", "2s", "2s"]
part_threshold = 8388608
part_size = {part}
"""
MOST_MEMORY = 256 << 20
"""Far below the size of the long form's file."""


class Clouds:
    """The three servers, and the service's configuration for them."""

    def __init__(self, storage: ChaosServer, azure: AzuriteServer, oss: Oss) -> None:
        self.storage = storage
        self.azure = azure
        self.oss = oss

    async def destinations(self, api: Api) -> dict[str, str]:
        """Create one of each; return their ids by name."""
        azure = {"azure_account_name": ACCOUNT, "azure_account_key": ACCOUNT_KEY, "azure_container_name": "large"}
        oss = {"oss_access_key": "writer", "oss_secret_key": OSS_SECRET, "oss_bucket_name": "large"}
        return {
            "s3": await bucket(api, self.storage, 0, s3_path_prefix=""),
            "azure": await api.destination("azure", **{"type": "azure", **azure}),
            "oss": await api.destination("oss", **{"type": "oss", **oss, "oss_region_id": "oss-cn-hangzhou"}),
        }

    async def digests(self) -> dict[str, str]:
        """Return the SHA-256 of what lies at S3 and at Azure, and the MD5s of the pieces at OSS, one after another."""
        blob = await self.azure.read(ACCOUNT, "large", "large.bin")
        return {
            "s3": self.storage.state().objects["bucket-000/large.bin"].sha256,
            "azure": hashlib.sha256(blob).hexdigest(),
            "oss": ",".join(one.md5.hex() for one in self.oss.stored["large"]["large.bin"]),
        }

    def unfinished(self) -> list[Any]:
        """Return the unfinished uploads at all three."""
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        blocks = self.azure.checked(ACCOUNT, "GET", "/large/large.bin", query=query).body
        return [*self.storage.state().uploads, *self.oss.unfinished, *([blocks] if b"<Block>" in blocks else [])]


def write_file(path: Path, size: int) -> None:
    """Write a file without two equal mebibytes."""
    with path.open("wb") as file:
        for number in range(-(-size // CHUNK)):
            block = hashlib.shake_128(number.to_bytes(8)).digest(64) * (CHUNK // 64)
            file.write(block[: size - number * CHUNK])


def digests_of(path: Path, part: int) -> dict[str, str]:
    """Return what `Clouds.digests` must return."""
    whole, parts = hashlib.sha256(), []
    with path.open("rb") as file:
        while piece := file.read(part):
            whole.update(piece)
            parts.append(hashlib.md5(piece, usedforsecurity=False))
    md5s = ",".join(one.hexdigest() for one in parts)
    return {"s3": whole.hexdigest(), "azure": whole.hexdigest(), "oss": md5s}


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield a file's content."""
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece


async def upload(session: aiohttp.ClientSession, url: str, collection: str, path: Path) -> None:
    """Upload the file as a result set, streamed."""
    form = aiohttp.FormData()
    form.add_field("file", pieces(path), filename="large.bin", content_type="application/octet-stream")
    async with session.post(f"{url}/collections/{collection}/results", headers={"X-API-Key": KEY}, data=form) as answer:
        assert answer.status == 200, await answer.text()


async def progress(api: Api, collection: str) -> dict[str, Any]:
    """Return the status of each delivery, by destination."""
    answer = await api.get(f"/collections/{collection}/results/1")
    status: dict[str, Any] = answer["result"]["destination_status"]
    return status


async def _until_killed(api: Api, server: Serving, collection: str) -> int:
    """Kill the service when nearly half of all is sent; return its peak memory."""
    while sum(one["bytes_done"] for one in (await progress(api, collection)).values()) < LARGE_BYTES * 1.4:
        await asyncio.sleep(0.02)
    peak = memory_of(server.process.pid)
    server.kill()
    return peak


async def _until_delivered(api: Api, server: Serving, collection: str) -> int:
    states: set[str] = set()
    while states != {"success"}:
        found = await progress(api, collection)
        states = {one["status"] for one in found.values()}
        assert "failed" not in states, found
        await asyncio.sleep(0.1)
    return memory_of(server.process.pid)


async def test_a_large_file_reaches_three_clouds_though_the_service_is_killed(
    tmp_path: Path, azurite_directory: Path
) -> None:
    """`LARGE_BYTES` says how large. No unfinished upload is left, and memory stays small."""
    file, part = tmp_path / "large.bin", 16 << 20 if LARGE_BYTES > 1 << 30 else 5 << 20
    await asyncio.to_thread(write_file, file, LARGE_BYTES)
    expected = await asyncio.to_thread(digests_of, file, part)
    async with AsyncExitStack() as stack:
        storage = stack.enter_context(chaos_process("bucket-*", directory=tmp_path))
        azure = await stack.enter_async_context(
            running_azurite({ACCOUNT: ACCOUNT_KEY}, directory=azurite_directory, location=tmp_path / "azurite")
        )
        await azure.create_container(ACCOUNT, "large")
        users = {"writer": User(OSS_SECRET)}
        oss = await stack.enter_async_context(
            oss_server(users, {"large": "cn-hangzhou"}, path_style=True, keeps_contents=False)
        )
        providers = PROVIDERS.format(azure=azure.url, oss=oss.url)
        config = write_config(tmp_path, delivery=SETTINGS.format(part=part), providers=providers)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)))
        await stack.enter_async_context(asyncio.timeout(1800))
        clouds = Clouds(storage, azure, oss)
        with serving(config, coverage=False) as server:
            api = Api(session, server.url)
            collection = await api.collection("large", list((await clouds.destinations(api)).values()))
            began = time.monotonic()
            await upload(session, server.url, collection, file)
            accepted = time.monotonic() - began
            before = await _until_killed(api, server, collection)
        with serving(config, coverage=False) as server:
            api = Api(session, server.url)
            after = await _until_delivered(api, server, collection)
            attempts = {one["attempts"] for one in (await progress(api, collection)).values()}
        seconds = time.monotonic() - began
        assert await clouds.digests() == expected
        assert clouds.unfinished() == []
    assert max(attempts) >= 2
    assert max(before, after) < MOST_MEMORY
    print(  # noqa: T201
        f"{LARGE_BYTES >> 20} MiB to S3, Azure and OSS: taken in in {accepted:.1f} s, delivered after {seconds:.0f} s, "
        f"killed in the middle; peak memory {before >> 20} and {after >> 20} MiB; nothing unfinished left"
    )
