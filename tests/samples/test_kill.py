"""The server is killed again and again under writers: nothing acknowledged may be lost, and every start is clean."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from store.ledger import Ledger, documents

from .serving import Serving, serving, write_config
from .writing import Api, Writer, key_of, prefix_of

KILLS = int(os.environ.get("KILLS", "5"))
ACCOUNTS = ("first", "second", "shared")
WRITERS = {"w0": "first", "w1": "second", "w2": "shared", "w3": "shared"}
ROUND_SECONDS = 60.0
LIMIT = aiohttp.ClientTimeout(total=30)


async def test_no_acknowledged_write_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """`KILLS` says how often; four writers at once, two of them in one account."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    dice, ledger, began = random.Random(seed), Ledger(), time.monotonic()
    writers = [Writer(name, account, ledger, random.Random(dice.random())) for name, account in WRITERS.items()]
    config = write_config(tmp_path, accounts={name: key_of(name) for name in ACCOUNTS}, limit=1000)
    for number in range(KILLS):
        with serving(config, coverage=False) as server:
            await _check(server, writers, ledger, about=f"seed {seed}, after kill {number}")
            await _write_until_killed(server, writers, dice)
        assert server.process.returncode == -signal.SIGKILL
    with serving(config, coverage=False) as server:
        await _check(server, writers, ledger, about=f"seed {seed}, after the last kill")
        assert server.stop() == 0
    assert _complaints(server.log) == []
    assert ledger.acknowledged >= KILLS
    took = time.monotonic() - began
    print(f"{KILLS} kills, {ledger.acknowledged} acknowledged writes, none lost, {took:.0f} s")  # noqa: T201


async def _write_until_killed(server: Serving, writers: list[Writer], dice: random.Random) -> None:
    async with asyncio.timeout(ROUND_SECONDS), aiohttp.ClientSession(timeout=LIMIT) as session:
        apis = {account: Api(session, server.url, account) for account in ACCOUNTS}
        await _kill_under(writers, apis, server, dice)


async def _kill_under(writers: list[Writer], apis: Mapping[str, Api], server: Serving, dice: random.Random) -> None:
    progress = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(writer.run(apis[writer.account], progress=progress, killed=lambda: server.ended))
        for _ in range(dice.randint(1, 200)):
            await progress.acquire()
        await asyncio.sleep(dice.uniform(0, 0.02))  # not always just after an answer
        assert server.process.poll() is None, "the server has ended by itself"
        server.kill()


async def _check(server: Serving, writers: list[Writer], ledger: Ledger, *, about: str) -> None:
    """Compare what is there with what was acknowledged; from then on, what is there is what must be there."""
    there: dict[tuple[str, str], dict[str, Any]] = {}
    async with asyncio.timeout(ROUND_SECONDS), aiohttp.ClientSession(timeout=LIMIT) as session:
        for account in ACCOUNTS:
            api = Api(session, server.url, account)
            there |= {(account, one["s3_bucket_name"]): one for one in await _all_of(api)}
        for writer in writers:
            await _check_deleted(Api(session, server.url, writer.account), writer)
    found = documents((*place, one["name"]) for place, one in there.items())
    assert ledger.complaints(found) == [], about
    ledger.settle(found)
    for writer in writers:
        writer.ids = {
            bucket: one["id"]
            for (account, bucket), one in there.items()
            if account == writer.account and bucket.startswith(f"{writer.name}-")
        }


async def _all_of(api: Api) -> list[dict[str, Any]]:
    """Return the account's destinations: each once, whole, and the same alone as in the list."""
    destinations = await api.everything()
    assert len({one["s3_bucket_name"] for one in destinations}) == len(destinations)
    for one in destinations:
        assert (await api.ask("GET", f"/{one['id']}"))["destination"] == one
        assert one["s3_path_prefix"] == prefix_of(one["name"])
        assert one["secrets_set"] == ["s3_access_key_id", "s3_secret_access_key"]
    return destinations


async def _check_deleted(api: Api, writer: Writer) -> None:
    for id_ in writer.deleted:
        await api.ask("GET", f"/{id_}", expect=404)
    writer.deleted.clear()


def _complaints(log: Path) -> list[str]:
    """Return what was logged, but for a record of which a part was on disk and that nobody was told of."""
    return [line for line in log.read_text().splitlines() if "a record cut short by a crash" not in line]
