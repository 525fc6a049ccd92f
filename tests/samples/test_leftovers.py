"""The server is killed in the middle of connectivity tests: after the next start, none of their files is left."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from consignee.leftovers import KIND
from consignee.store.json_file import JsonFileStore
from fakes.hostile import as_storage
from fakes.scripted import Answer, Request, scripted

from .serving import Serving, serving, write_config

SECRET = "hunter2hunter2"
SECONDS = 60.0


@dataclass
class Storage:
    """Takes every file; while it is `stuck` it answers no DELETE, and in the bucket `slow` no PUT either."""

    stuck: bool = True
    objects: set[str] = field(default_factory=set)
    methods: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        self.methods.append(f"{request.method} {request.path.split('/')[1]}")
        if request.method == "PUT":
            self.objects.add(request.path)
        elif not self.stuck:
            self.objects.discard(request.path)
        silent = self.stuck and (request.method == "DELETE" or request.path.startswith("/slow/"))
        return Answer(raw=_never()) if silent else as_storage(request)


async def _never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def test_what_a_killed_server_left_is_removed_after_its_start(tmp_path: Path) -> None:
    """One test is killed between its upload and its delete, the other in its upload."""
    config, storage = write_config(tmp_path, accounts={"ann": "key"}), Storage()
    file = tmp_path / "store" / f"{KIND}.jsonl"
    async with scripted(storage) as server:
        with serving(config, coverage=False) as running:
            tests = [asyncio.create_task(_test(running, server.url, bucket)) for bucket in ("fast", "slow")]
            await _until(lambda: {"DELETE fast", "PUT slow"} <= set(storage.methods))
            running.kill()
            assert await asyncio.gather(*tests) == ["cut off", "cut off"]
        assert len(storage.objects) == 2
        remembered = [json.loads(line)["data"]["key"] for line in file.read_text().splitlines()[1:]]
        assert sorted(remembered) == sorted(path.split("/", 2)[2] for path in storage.objects)
        assert SECRET not in file.read_text()
        storage.stuck = False
        with serving(config, coverage=False) as running:
            await _until(lambda: not storage.objects)
            await _until(lambda: file.read_text().count('"data":null') == 2)
            assert running.stop() == 0
    assert await _remembered(tmp_path / "store") == []


async def _test(running: Serving, endpoint: str, bucket: str) -> str:
    fields: dict[str, Any] = {
        "type": "s3compatible",
        "name": "x",
        "enabled": True,
        "s3_endpoint": endpoint,
        "s3_bucket_name": bucket,
        "s3_path_prefix": "exports",
        "s3_access_key_id": "key",
        "s3_secret_access_key": SECRET,
    }
    try:
        async with (
            aiohttp.ClientSession(headers={"X-API-Key": "key"}) as session,
            session.post(f"{running.url}/destinations/test", json=fields) as response,
        ):
            return await response.text()
    except aiohttp.ClientError:
        return "cut off"


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def _remembered(path: Path) -> list[str]:
    store = JsonFileStore(path)
    await store.open()
    try:
        return await store.accounts(KIND)
    finally:
        await store.close()
