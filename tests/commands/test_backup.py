"""consignee backup and restore, as an operator runs them: real processes, beside a server that is written to all the time."""

import asyncio
import itertools
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import requests

from consignee.backups.archive import archived
from consignee.backups.verifying import members_of, read_manifest
from consignee.commands.backup import new_file, pieces_of
from consignee.control import socket_path
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import SettingsError
from consignee.opening import open_store
from consignee.settings import load_settings
from consignee.store.json_file import JsonFileStore
from endurance.service import KEY, Api, bucket, sha256, write_config
from fakes.chaos_process import ChaosServer, chaos_process
from samples.serving import environment, serving

BACKUPS = int(os.environ.get("BACKUPS", "2"))
PRODUCERS = 4
SECONDS = 120.0


def command(name: str, file: Path | str, config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; it must say what is wrong in a line of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "consignee", name, str(file), "--config", str(config), *options],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment(),
    )
    assert "Traceback" not in done.stderr
    return done


@dataclass
class Producer:
    """Creates collections and uploads result sets to one of them, one after the other, and remembers what was acknowledged."""

    api: Api
    name: str
    collection: str
    results: list[tuple[int, bytes]] = field(default_factory=list)
    collections: list[str] = field(default_factory=list)

    async def work(self, done: asyncio.Event) -> None:
        """Go on until `done` is set."""
        for number in itertools.count():
            if done.is_set():
                return
            content = random.Random(f"{self.name} {number}").randbytes(2000)
            result = await self.api.upload(self.collection, {"file.bin": content})
            self.results.append((result["id"], content))
            self.collections.append(await self.api.collection(f"{self.name} {number}", []))


@dataclass(frozen=True)
class Backup:
    """One that was made, and how much each producer knew to be safe before it began."""

    path: Path
    results: Sequence[int]
    collections: Sequence[int]


async def backed_up(producers: Sequence[Producer], config: Path, path: Path) -> Backup:
    """Back the running service up as soon as every producer has got further."""
    goals = [len(one.results) + 5 for one in producers]
    while any(len(one.results) < goal for one, goal in zip(producers, goals, strict=True)):
        await asyncio.sleep(0.02)
    made = Backup(path, [len(one.results) for one in producers], [len(one.collections) for one in producers])
    done = await asyncio.to_thread(command, "backup", path, config)
    assert done.returncode == 0, done.stderr
    return made


async def check_prefix(store: Path, producers: Sequence[Producer], backup: Backup) -> None:
    """What was acknowledged before the backup began is there; of what came later the first, without a gap, and in order."""
    restored = JsonFileStore(store)
    await restored.open()
    named = set(await restored.ids("collections", "producer"))
    for one, results, collections in zip(producers, backup.results, backup.collections, strict=True):
        count = len(named.intersection(one.collections))
        numbers = [
            int(id_.partition(".")[2]) for id_ in await restored.ids(RESULT_SETS, "producer", prefix=one.collection)
        ]
        assert count >= collections
        assert named.issuperset(one.collections[:count])
        assert numbers == list(range(1, len(numbers) + 1))
        assert max(results, count) <= len(numbers) <= len(one.results) + 1
        for number in range(results):
            (document,) = await restored.list(RESULT_SETS, "producer", prefix=f"{one.collection}.{number + 1:010d}")
            file = store / "spool" / "kept" / document.data["token"] / "0"
            assert file.read_bytes() == one.results[number][1]
    await restored.close()


def expected(producers: Sequence[Producer], backup: Backup) -> dict[str, str]:
    """Return the SHA-256 of each object that was to be delivered when the backup began, by its name in the storage."""
    return {
        f"bucket-000/{one.collection}/{number}/file.bin": sha256(content)
        for one, results in zip(producers, backup.results, strict=True)
        for number, content in one.results[:results]
    }


async def arrived(storage: ChaosServer, expected: dict[str, str]) -> None:
    """Wait until all these objects are in the storage, which checks signatures; by name, the SHA-256."""
    async with asyncio.timeout(SECONDS):
        while True:
            objects = (await asyncio.to_thread(storage.state)).objects
            if all(name in objects and objects[name].sha256 == digest for name, digest in expected.items()):
                return
            await asyncio.sleep(0.1)


async def test_a_backup_of_a_busy_service_is_of_one_moment_and_what_was_pending_arrives_after_restoring(
    tmp_path: Path,
) -> None:
    """`BACKUPS` says how many are made. The storage refuses everything meanwhile, so that every delivery is pending."""
    config = write_config(tmp_path / "old", delivery='retries = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]')
    config.write_text(config.read_text().replace("[delivery]\n", "[delivery]\nbreaker = 1000\n"))
    async with AsyncExitStack() as stack:
        storage = stack.enter_context(chaos_process("bucket-*", directory=tmp_path))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        with serving(config) as server:
            api = Api(session, server.url)
            destination = await bucket(api, storage, 0, s3_path_prefix="%COLLECTION_ID%/%RESULT_SET_ID%")
            storage.set_faults(error503=1.0, retry_after=1)
            producers = [
                Producer(api, f"producer {n}", await api.collection(f"{n}", [destination])) for n in range(PRODUCERS)
            ]
            done = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for one in producers:
                    group.create_task(one.work(done))
                backups = [await backed_up(producers, config, tmp_path / f"{n}.tar") for n in range(BACKUPS)]
                done.set()
            server.kill()
        for number, backup in enumerate(backups):
            other = write_config(tmp_path / f"new {number}", delivery='retries = ["1s", "1s", "1s", "1s"]')
            restored = command("restore", backup.path, other)
            assert restored.returncode == 0, restored.stderr
            await check_prefix(tmp_path / f"new {number}" / "store", producers, backup)
        storage.set_faults()
        assert not [name for name in storage.state().objects if name.endswith("file.bin")], "all of it is pending"
        with serving(other) as server:
            await arrived(storage, expected(producers, backups[-1]))
            assert server.stop() == 0
    saves = sum(len(one.results) + len(one.collections) for one in producers)
    print(  # noqa: T201
        f"{len(backups)} backups during {saves} acknowledged creates and result sets: each of one moment, 0 of what was "
        f"acknowledged before it lost; {len(expected(producers, backups[-1]))} pending deliveries arrived after restoring"
    )


def test_a_backup_is_private_and_never_replaces_a_file(tmp_path: Path) -> None:
    """And it says that the key is not in it; without a server it works as well."""
    config = write_config(tmp_path)
    made = command("keys", "create", config, "--account", "ann")
    key = made.stdout.strip()
    done = command("backup", tmp_path / "backup.tar", config)
    assert (done.returncode, "The sealing key is not in it" in done.stdout) == (0, True), done.stderr
    content = (tmp_path / "backup.tar").read_bytes()
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    again = command("backup", tmp_path / "backup.tar", config)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert (tmp_path / "backup.tar").read_bytes() == content
    assert key.encode() not in content
    assert (tmp_path / "secret.key").read_bytes().strip() not in content


@pytest.mark.parametrize("there", [False, True])
def test_where_there_is_no_store_nothing_is_backed_up_or_made(tmp_path: Path, there: bool) -> None:
    """As in another working directory, or without the settings: or each night's backup would be empty, and called good."""
    config = write_config(tmp_path)
    if there:
        (tmp_path / "store").mkdir(mode=0o700)
    done = command("backup", tmp_path / "backup.tar", config)
    assert (done.returncode, f"there is no store in {tmp_path / 'store'}" in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.glob("backup.tar*"))
    assert list(tmp_path.glob("store/*")) == []
    assert (tmp_path / "store").exists() == there


async def test_a_service_can_start_while_a_backup_is_written_that_was_begun_without_it(tmp_path: Path) -> None:
    """The backup is of the moment at which it began, whatever is saved then."""
    config = write_config(tmp_path)
    command("keys", "create", config, "--account", "ann")
    settings = load_settings(config, environ={})
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").glob("*.jsonl")}
    async with pieces_of(settings, files=True) as pieces:
        async with open_store(settings) as store:
            await store.save("sealing_keys", "", "later", {})
        (tmp_path / "backup.tar").write_bytes(b"".join([piece async for piece in pieces]))
    manifest = read_manifest(tmp_path / "backup.tar")
    found = {member.place: b"".join(member.pieces) for member in members_of(tmp_path / "backup.tar", manifest)}
    assert {f"{kind}.jsonl": content for (_, kind), content in found.items()} == before


def test_two_backups_of_one_name_do_not_harm_each_other_or_what_is_beside_them(tmp_path: Path) -> None:
    """The first that is whole takes the name."""
    (tmp_path / "backup.tar.new").write_text("mine")

    def write(created_at: str, meanwhile: Callable[[], None]) -> None:
        with new_file(tmp_path / "backup.tar") as fd:
            os.write(fd, b"".join(archived([], {"consignee": "1", "created_at": created_at, "files": False})))
            meanwhile()

    with pytest.raises(SettingsError, match="is there already"):
        write("late", lambda: write("first", lambda: None))
    assert read_manifest(tmp_path / "backup.tar").created_at == "first"
    assert {path.name for path in tmp_path.iterdir()} == {"backup.tar", "backup.tar.new"}
    assert (tmp_path / "backup.tar.new").read_text() == "mine"


def test_what_is_restored_is_said_and_works(tmp_path: Path) -> None:
    """Keys too: their pepper is in the backup, sealed. A second time there is something to lose, and a server is noticed."""
    config, other = write_config(tmp_path / "old"), write_config(tmp_path / "new")
    key = command("keys", "create", config, "--account", "ann").stdout.strip()
    command("backup", tmp_path / "backup.tar", config, "--without-files")
    done = command("restore", tmp_path / "backup.tar", other)
    assert (done.returncode, "no files of result sets" in done.stdout) == (0, True), done.stderr
    assert "sealing key that belongs to them" in done.stdout
    with serving(other) as server:
        account = requests.get(f"{server.url}/account", headers={"X-API-Key": key}, timeout=SECONDS)
        assert account.status_code == 200
        beside = command("restore", tmp_path / "backup.tar", other)
        assert (beside.returncode, "in use" in beside.stderr) == (2, True)
        assert server.stop() == 0
    again = command("restore", tmp_path / "backup.tar", other)
    assert (again.returncode, "there is a store" in again.stderr) == (2, True)


def upload(url: str, content: bytes) -> None:
    """Upload a result set of one file to a collection that goes nowhere."""
    headers, fields = {"X-API-Key": KEY}, {"name": "C", "destination_ids": ""}
    made = requests.post(f"{url}/collections", headers=headers, data=fields, timeout=SECONDS).json()
    results = f"{url}/collections/{made['collection']['id']}/results"
    assert requests.post(results, headers=headers, files={"file": ("a", content)}, timeout=SECONDS).ok


def test_a_file_that_is_lost_is_said_to_be_missing_and_one_that_can_not_be_read_breaks_the_backup_off(
    tmp_path: Path,
) -> None:
    """Nothing is left of the second; without files it works."""
    config = write_config(tmp_path)
    with serving(config) as server:
        upload(server.url, b"content")
        (file,) = (tmp_path / "store" / "spool" / "kept").glob("*/0")
        file.unlink()
        name = f"spool/{file.parent.name}/0"
        done = command("backup", tmp_path / "lacking.tar", config)
        assert (done.returncode, f"1 files of result sets are missing in it, {name}" in done.stdout) == (1, True)
        done = command("restore", tmp_path / "lacking.tar", write_config(tmp_path / "new"))
        assert (done.returncode, f"1 files of result sets are missing in it, {name}" in done.stdout) == (0, True)
        file.mkdir()
        done = command("backup", tmp_path / "backup.tar", config)
        assert (done.returncode, "broke off the backup" in done.stderr) == (2, True), done.stderr
        assert not list(tmp_path.glob("backup.tar*"))
        assert f"{name} could not be backed up" in server.log.read_text()
        assert command("backup", tmp_path / "backup.tar", config, "--without-files").returncode == 0
        log = tmp_path / "store" / "collections.jsonl"
        log.rename(tmp_path / "moved")
        log.touch(mode=0o600)
        done = command("backup", tmp_path / "another.tar", config)
        assert (done.returncode, "broke off the backup" in done.stderr) == (2, True), done.stderr
        assert not list(tmp_path.glob("another.tar*"))
        assert server.stop() == 0


def test_a_server_that_is_stopped_does_not_wait_for_a_backup(tmp_path: Path) -> None:
    """Nobody reads the answer here, so it would never end."""
    config = write_config(tmp_path)
    with serving(config) as server:
        upload(server.url, bytes(2**25))
        with socket_path(str(tmp_path / "store")) as path, socket.socket(socket.AF_UNIX) as reader:
            reader.connect(path)
            reader.sendall(b"GET /backup HTTP/1.1\r\nHost: control\r\n\r\n")
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
            assert server.stop() == 0
