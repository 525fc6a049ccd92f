"""Three servers and four workers on one database, one of which is killed again and again: nothing may be lost."""

import asyncio
import os
import time
from pathlib import Path

from consignee.secret import Secret
from endurance.test_chaos import FAULTS, missing
from fakes.chaos_process import chaos_process

from .fire import Fire, repeated
from .fleet import fleet
from .site import STAGING, prepare

DELIVERIES = int(os.environ.get("DELIVERIES", "200"))
KILL_EVERY = float(os.environ.get("KILL_EVERY", "2"))
SERVERS, WORKERS = 3, 4
BUCKETS = 25
SETTINGS = """\
retries = ["1s", "1s", "1s", "2s", "2s", "2s", "3s", "3s", "3s", "3s", "3s", "3s"]
crashes = 1000
idle_timeout = 2
lease = 5
"""
MOST_SECONDS = 3600.0


async def test_nothing_is_lost_however_often_one_of_the_processes_is_killed(tmp_path: Path, empty_url: Secret) -> None:
    """`DELIVERIES` says how many, `KILL_EVERY` after how many seconds one is killed each time.

    The storage fails in every way, for the customers' buckets and for the one that files are staged in.
    """
    began = time.monotonic()
    with chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path) as storage:
        site = prepare(tmp_path, empty_url, storage, delivery=SETTINGS)
        async with fleet(site, servers=SERVERS, workers=WORKERS) as (members, api):
            fire, done = Fire(api, storage), asyncio.Event()
            await fire.aim(BUCKETS)
            storage.set_faults(**FAULTS)
            async with asyncio.timeout(MOST_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(members.kill_again_and_again(done, every=KILL_EVERY, seed=0))
                await fire.produce(DELIVERIES // BUCKETS)
                produced = time.monotonic()
                await fire.all_there()
                done.set()
            storage.set_faults()
            async with asyncio.timeout(MOST_SECONDS):
                await fire.all_delivered()
            state = await fire.state()
            await members.stop()
    assert len(fire.expected) == DELIVERIES
    assert missing(state, fire.expected) == []
    again, objects = repeated(state)
    print(  # noqa: T201
        f"{objects} deliveries ({DELIVERIES} acknowledged) by {SERVERS} servers and {WORKERS} workers, {members.kills} kills, "
        f"0 lost, {again} repeated PUTs ({again / objects:.1%}), "
        f"faults {dict(state.faults)}, {produced - began:.0f} s until all were accepted, {time.monotonic() - began:.0f} s in all"
    )
