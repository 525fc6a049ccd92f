"""The sealing key changes again and again while destinations and collections are made and changed, and files delivered."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from consignee.commands.secrets import reached
from consignee.destination import Destination, from_document, to_data
from consignee.errors import ConsigneeError
from consignee.opening import open_store
from consignee.rotation import Making
from consignee.sealing_key import load_sealer
from consignee.secret import Secret
from consignee.service import KIND
from consignee.settings import load_settings
from fakes.chaos_process import ChaosServer, chaos_process
from samples.serving import environment, serving
from vault import ids_in

from .service import Api, bucket, sha256, write_config

SECONDS = float(os.environ.get("ROTATION_SECONDS", "3"))
KILLS = int(os.environ.get("ROTATION_KILLS", "2"))
DOCUMENTS = 500
MANY = 2000
TRIES = 5
PEPPERS = 1
"""Of the API keys, made by the first start."""
BUCKETS = 2
WORK = ("created", "changed", "produced")
LARGE = 900_000
DELIVERY = """\
retries = ["1s", "1s", "1s", "1s", "1s", "1s"]
crashes = 1000
part_threshold = 10_000
parts_at_once = 1
per_destination = 2
"""
LONG = 120.0


@dataclass
class Customers:
    """What they did, and what must come of it."""

    api: Api
    storage: ChaosServer
    ids: list[str]
    collection: str
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    names: dict[str, str] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    async def create(self) -> None:
        """Create destinations, each of which is tested with its keys."""
        number = BUCKETS
        while not self.ending.is_set():
            self.names[await bucket(self.api, self.storage, number)] = f"bucket {number}"
            self.done["created"] += 1
            number += 1

    async def change(self, dice: random.Random) -> None:
        """Change destinations and the collection; nobody else does, so nothing may be refused."""
        while not self.ending.is_set():
            id_ = dice.choice(list(self.names) or self.ids)
            name = f"name {dice.randrange(1 << 30)}"
            values = {"name": name, "s3_secret_access_key": self.storage.secret}
            await self.api._call("PUT", f"/destinations/{id_}", values)
            self.names[id_] = name
            await self.api._call("PUT", f"/collections/{self.collection}", {"name": name})
            self.done["changed"] += 2

    async def produce(self, dice: random.Random) -> None:
        """Upload result sets, each with a file that is sent in parts."""
        while not self.ending.is_set():
            contents = {"small.bin": dice.randbytes(1000), "large.bin": dice.randbytes(LARGE)}
            result = await self.api.upload(self.collection, contents)
            for place in range(BUCKETS):
                for name, content in contents.items():
                    self.expected[f"bucket-{place:03d}/exports/{result['id']}/{name}"] = sha256(content)
            self.done["produced"] += 1

    async def delivered(self) -> None:
        """Wait until all is there, as it was uploaded."""
        async with asyncio.timeout(LONG):
            while True:
                objects = (await asyncio.to_thread(self.storage.state)).objects
                if all(key in objects and objects[key].sha256 == one for key, one in self.expected.items()):
                    return
                await asyncio.sleep(0.2)

    async def check(self) -> None:
        """See that every destination is as it was left, and that its keys still work."""
        for id_, name in self.names.items():
            found = (await self.api.get(f"/destinations/{id_}"))["destination"]
            assert found["name"] == name
            assert (await self.api.post(f"/destinations/{id_}/test", {}))["connectivity"]["ok"]


async def secrets(config: Path, *arguments: str) -> tuple[int, str]:
    """Run `consignee secrets`; return its status and what it printed."""
    command = [sys.executable, "-m", "consignee", "secrets", *arguments, "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:  # pragma: no cover - only if the test is given up
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, told.decode()


@asynccontextmanager
async def customers(config: Path, storage: ChaosServer, url: str) -> AsyncIterator[Customers]:
    """Yield them before they do anything."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        api = Api(session, url)
        ids = [await bucket(api, storage, number) for number in range(BUCKETS)]
        hook: dict[str, Any] = {"notification_webhook": "https://127.0.0.1:9/"}
        answer = await api.post("/collections", {"name": "rotated", "destination_ids": ids, **hook})
        yield Customers(api, storage, ids, answer["collection"]["id"])


async def rotate(config: Path, making: Making = Making.IF_DONE) -> int:
    """Rotate by way of whoever has the store; return how many documents have the present key, and fail if one has another."""
    async with reached(load_settings(config, environ={})) as rotation:
        first, *others = await rotation.rotate(making)
    assert first.current
    assert [use for use in others if use.documents] == []
    return first.documents


async def forget_all(config: Path) -> int:
    """Forget all keys but the first, and return how many that were."""
    settings = load_settings(config, environ={})
    _, *old = ids_in(settings.secrets)
    async with reached(settings) as rotation:
        for key_id in old:
            await rotation.forget(key_id)
        (only,) = await rotation.status()
    assert only.current
    return len(old)


async def test_keys_change_under_load_and_nothing_is_refused_or_lost(tmp_path: Path) -> None:
    """`ROTATION_SECONDS` says how long: every answer is a success, every file arrives, every old key is forgotten."""
    config = write_config(tmp_path, delivery=DELIVERY)
    dice = random.Random(4711)
    rotations = 0
    with chaos_process("bucket-*", directory=tmp_path) as storage, serving(config) as server:
        storage.set_faults(bucket="bucket-000", error503=0.1, drop=0.05, retry_after=1)
        async with customers(config, storage, server.url) as crowd:
            async with asyncio.TaskGroup() as tasks:
                for work in (crowd.create(), crowd.change(dice), crowd.produce(dice)):
                    tasks.create_task(work)
                ends = time.monotonic() + SECONDS
                while time.monotonic() < ends or rotations < 2 or not all(map(crowd.done.get, WORK)):
                    await rotate(config)
                    rotations += 1
                crowd.ending.set()
            await crowd.delivered()
            storage.set_faults(bucket="bucket-000")
            assert await forget_all(config) == rotations
            await crowd.check()
            assert crowd.api.repeated == 0
        assert server.stop() == 0
    assert "ERROR" not in server.log.read_text(), server.log.read_text()
    print(f"{rotations} rotations, {dict(crowd.done)}, {len(crowd.expected)} files delivered, 0 refused, 0 lost")  # noqa: T201


async def fill(config: Path, count: int) -> None:
    """Save so many destinations while nothing runs."""
    settings = load_settings(config, environ={})
    async with open_store(settings) as store:
        sealer = await load_sealer(settings.secrets, store)
        made = [destination(number) for number in range(count)]
        await asyncio.gather(*(store.save(KIND, one.account, one.id, to_data(one, sealer)) for one in made))


def destination(number: int) -> Destination:
    """Return a destination with two secrets."""
    draft = {"type": "s3", "name": f"{number}", "enabled": False, "settings": {"s3_bucket_name": "bucket"}}
    secrets = {"s3_access_key_id": Secret(f"id {number}"), "s3_secret_access_key": Secret(f"secret {number}")}
    times = {"created_at": "2026-01-02T03:04:05.678Z", "updated_at": "2026-01-02T03:04:05.678Z"}
    return Destination(account="producer", id=f"{number:08X}", revision=1, secrets=secrets, **draft, **times)  # type: ignore[arg-type]


async def require_all(config: Path, count: int) -> None:
    """Fail unless all of them are there with their secrets."""
    settings = load_settings(config, environ={})
    async with open_store(settings) as store:
        sealer = await load_sealer(settings.secrets, store)
        found = [from_document(document, sealer) for document in await store.list(KIND, "producer")]
    assert [replace(one, revision=1) for one in found] == [destination(number) for number in range(count)]


async def test_a_server_that_is_killed_while_keys_change_loses_nothing(tmp_path: Path) -> None:
    """`ROTATION_KILLS` says how often; at the end one rotation brings everything to one key."""
    config = write_config(tmp_path)
    await fill(config, DOCUMENTS)
    dice = random.Random(4712)
    cut_off = 0
    for _ in range(KILLS):
        with serving(config, coverage=False) as server:
            rotating = asyncio.create_task(rotate(config))
            await asyncio.sleep(dice.uniform(0, 0.2))
            server.kill()
            (outcome,) = await asyncio.gather(rotating, return_exceptions=True)
            assert isinstance(outcome, int | ConsigneeError)
            cut_off += isinstance(outcome, ConsigneeError)
        await require_all(config, DOCUMENTS)
    assert await rotate(config, Making.NEVER) == DOCUMENTS + PEPPERS
    await forget_all(config)
    await require_all(config, DOCUMENTS)
    print(f"{KILLS} kills, {cut_off} rotations cut off, {DOCUMENTS} documents, 0 lost")  # noqa: T201


async def test_a_server_that_stops_while_keys_change_leaves_the_rest_for_later(tmp_path: Path) -> None:
    """It ends as soon as ever; the command says that it is not done, and then goes on without the server."""
    config = write_config(tmp_path)
    await fill(config, MANY)
    tries = 0
    status = 0
    while status == 0 and tries < TRIES:  # it may be done before the signal comes
        status, told = await stopped_while_rotating(config, keys=tries + 1)
        tries += 1
    assert status == 1, told
    assert "not done: run consignee secrets rotate --resume" in told
    assert await rotate(config) == MANY + PEPPERS
    assert await forget_all(config) == tries
    await require_all(config, MANY)


async def stopped_while_rotating(config: Path, *, keys: int) -> tuple[int, str]:
    """Stop a server as soon as it has added a key to so many; return what the command has to say."""
    with serving(config) as server:
        rotating = asyncio.create_task(secrets(config, "rotate"))
        async with asyncio.timeout(LONG):
            while len(ids_in(load_settings(config, environ={}).secrets)) == keys and not rotating.done():
                await asyncio.sleep(0.005)
        assert await asyncio.to_thread(server.stop) == 0
        return await rotating
