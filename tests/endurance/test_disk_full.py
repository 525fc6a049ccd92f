"""A service on a disk that is completely full, and on one that fails: what its clients see, before and after it was mended."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consignee.web.errors import FULL
from fakes.chaos_process import chaos_process
from samples.serving import Serving, serving

from .service import KEY, Api, bucket, write_config

MIB = 1 << 20
SIZE = 12 * MIB
DELETED = 20
UNAVAILABLE = "The service can't do this at the moment; nothing was changed."
SETTINGS = 'retries = ["1s", "1s", "1s", "1s", "1s", "1s"]\n'


@dataclass
class Client:
    """Asks once, and returns the status and the answer."""

    session: aiohttp.ClientSession
    url: str

    async def ask(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, data: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Return the status, and the answer with its Retry-After."""
        headers = {"X-API-Key": KEY}
        async with self.session.request(method, self.url + path, headers=headers, json=content, data=data) as response:
            answer: dict[str, Any] = await response.json()
            return response.status, {**answer, "retry_after": response.headers.get("Retry-After")}

    async def upload(self, collection: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """Upload a result set of one file."""
        form = aiohttp.FormData()
        form.add_field("file", content, filename="file.bin", content_type="application/octet-stream")
        return await self.ask("POST", f"/collections/{collection}/results", data=form)

    async def is_ready(self) -> bool:
        """Whether the service says that it is ready."""
        return (await self.ask("GET", "/readyz"))[0] == 200


def destination(name: str) -> dict[str, Any]:
    """Return the fields of a destination that is not tested, because it is not enabled."""
    keys = {"s3_access_key_id": "chaos", "s3_secret_access_key": "canary-secret"}
    place = {"s3_bucket_name": "bucket", "s3_endpoint": "http://127.0.0.1:1", "s3_region": "us-east-1"}
    return {"name": name, "type": "s3compatible", "enabled": False, **place, **keys}


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a disk of `SIZE` bytes; skips where that is not allowed."""
    path.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(path)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("not root, or no mount: no disk that could be filled")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("not allowed to mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Leave not one block free."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        assert os.statvfs(path).f_bfree == 0
    finally:
        os.close(fd)


@asynccontextmanager
async def at_work(directory: Path, place: Path) -> AsyncIterator[tuple[Serving, Client, list[str]]]:
    """Yield a service with its files in `directory`, a client, and the ids of a destination that works and a collection."""
    with (
        chaos_process("bucket-*", directory=place) as storage,
        serving(write_config(directory, delivery=SETTINGS)) as server,
    ):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            api = Api(session, server.url)
            working = await bucket(api, storage, 0)
            yield server, Client(session, server.url), [working, await api.collection("full", [working])]


async def _until_delivered(client: Client, collection: str, number: int, *, destination_id: str) -> None:
    path = f"/collections/{collection}/results/{number}"
    async with asyncio.timeout(60):
        while (await client.ask("GET", path))[1]["result"]["destination_status"][destination_id]["status"] != "success":
            await asyncio.sleep(0.05)


def refused(answer: tuple[int, dict[str, Any]], message: str = FULL) -> None:
    """Check that it is a clear 503."""
    status, content = answer
    info = content["request_info"]
    assert (status, info["code"], info["message"], content["retry_after"]) == (503, "unavailable", message, "5")


@pytest.mark.root
async def test_a_full_disk_refuses_writes_and_lets_be_read_and_deleted(tmp_path: Path) -> None:
    """Not one block is free. After room was made, all goes on without a restart, and what was accepted is delivered."""
    with small_disk(tmp_path / "disk") as disk:
        async with at_work(disk, tmp_path) as (_, client, (working, collection)):
            ids = [
                (await client.ask("POST", "/destinations", destination(f"d{n}")))[1]["destination"]["id"]
                for n in range(DELETED + 1)
            ]
            assert (await client.upload(collection, b"x" * 1000))[0] == 200
            await _until_delivered(client, collection, 1, destination_id=working)
            before = {path.name for path in (disk / "store" / "spool").rglob("*")}
            fill(disk / "filler")

            refused(await client.upload(collection, b"x" * MIB))
            collection_fields = {"name": "fits", "destination_ids": [working]}
            refused(await until_refused(client, "POST", "/destinations", destination("fits")))
            refused(await until_refused(client, "POST", "/collections", collection_fields))
            refused(await until_refused(client, "PUT", f"/destinations/{ids[0]}", destination("d0")))
            assert {path.name for path in (disk / "store" / "spool").rglob("*")} == before
            assert (await client.ask("GET", f"/destinations/{ids[0]}"))[1]["destination"]["name"] == "d0"
            assert (await client.ask("GET", f"/collections/{collection}/results/1"))[0] == 200
            statuses = [(await client.ask("DELETE", f"/destinations/{id_}"))[0] for id_ in ids[1:]]
            assert statuses == [200] * DELETED
            assert (await client.ask("GET", f"/destinations/{ids[1]}"))[0] == 404
            assert await client.is_ready()

            (disk / "filler").unlink()
            assert (await client.ask("POST", "/destinations", destination("accepted")))[0] == 200
            assert (await client.upload(collection, b"y" * MIB))[0] == 200
            await _until_delivered(client, collection, 2, destination_id=working)
            fill(disk / "filler")
            assert (await client.ask("DELETE", f"/collections/{collection}"))[0] == 200
            assert (await client.ask("GET", f"/collections/{collection}/results/1"))[0] == 404
        with serving(disk / "consignee.toml") as again:
            async with aiohttp.ClientSession() as session:
                answer = (await Client(session, again.url).ask("GET", "/destinations"))[1]
        assert {one["name"] for one in answer["destinations"]} - {"fits"} == {"bucket 0", "d0", "accepted"}
    print(f"not one block free: {DELETED} destinations and a collection deleted, 4 kinds of writes refused with 503")  # noqa: T201


async def until_refused(
    client: Client, method: str, path: str, content: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    """Repeat it as long as it fits into what is left of a file's last block; return the first refusal."""
    for _ in range(100):
        if (answer := await client.ask(method, path, content))[0] != 200:
            return answer
    raise AssertionError("the disk is not full")


@contextmanager
def failing(server: Serving, call: str) -> Iterator[None]:
    """Let each call of that name fail in the service, by a trace that is attached to it."""
    command = [
        "strace",
        "-f",
        "-p",
        str(server.process.pid),
        "-o",
        os.devnull,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error=EIO",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as trace:
        assert trace.stderr is not None
        try:
            if "attached" not in (line := trace.stderr.readline()):
                pytest.skip(f"may not trace: {line}")
            yield
        finally:
            trace.terminate()
            trace.wait()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_after_a_failed_sync_the_service_is_read_only_and_not_ready_until_a_restart(tmp_path: Path) -> None:
    """One of the spool fails that upload alone: nothing was acknowledged, and nothing else depends on that file."""
    async with at_work(tmp_path, tmp_path) as (server, client, (working, collection)):
        with failing(server, "fdatasync"):
            assert (await client.upload(collection, b"x" * 1000))[0] == 503
            assert await client.is_ready()
        assert not any((tmp_path / "store" / "spool" / "incoming").iterdir())
        assert (await client.upload(collection, b"x" * 1000))[0] == 200
        await _until_delivered(client, collection, 1, destination_id=working)
        assert (await client.ask("POST", "/destinations", destination("before")))[0] == 200
        with failing(server, "fdatasync"):
            assert (await client.ask("POST", "/destinations", destination("failed")))[0] == 503
        assert not await client.is_ready()
        collection_fields = {"name": "refused", "destination_ids": [working]}
        for path, fields in {"/destinations": destination("refused"), "/collections": collection_fields}.items():
            refused(await client.ask("POST", path, fields), UNAVAILABLE)
            assert (await client.ask("GET", path))[0] == 200
    with serving(tmp_path / "consignee.toml") as again:
        async with aiohttp.ClientSession() as session:
            client = Client(session, again.url)
            assert await client.is_ready()
            names = {one["name"] for one in (await client.ask("GET", "/destinations"))[1]["destinations"]}
            assert (await client.ask("POST", "/destinations", destination("after")))[0] == 200
    assert {"bucket 0", "before"} <= names <= {"bucket 0", "before", "failed"}
