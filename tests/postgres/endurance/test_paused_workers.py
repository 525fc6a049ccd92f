"""Workers that stand still for longer than their leases, and then go on with what others have done meanwhile."""

import asyncio
import os
import random
from pathlib import Path

from consignee.secret import Secret
from endurance.test_chaos import missing
from fakes.chaos_process import chaos_process

from .fire import Fire, repeated, twice
from .fleet import Fleet, fleet
from .site import STAGING, prepare

PAUSED_DELIVERIES = int(os.environ.get("PAUSED_DELIVERIES", "80"))
SERVERS, WORKERS = 1, 3
BUCKETS = 10
LEASE = 2
SETTINGS = f"""\
retries = ["1s", "1s", "1s", "1s", "1s", "1s"]
crashes = 1000
lease = {LEASE}
"""
SLOW = 1000
"""Milliseconds that each upload takes, so that a worker is always stopped in the middle of several."""
MOST_SECONDS = 900.0


async def _stop_one_after_another(members: Fleet, done: asyncio.Event) -> int:
    """Let a worker stand still, then another one, until all is done; return how often."""
    dice, times = random.Random(0), 0
    while not done.is_set():
        await dice.choice(members.workers).stand_still(1.5 * LEASE)
        times += 1
    return times


async def test_what_a_worker_does_after_it_lost_its_leases_spoils_nothing(tmp_path: Path, empty_url: Secret) -> None:
    """`PAUSED_DELIVERIES` says how many. It may send again what is there; what is on record stays as it is."""
    with chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path) as storage:
        site = prepare(tmp_path, empty_url, storage, delivery=SETTINGS)
        async with fleet(site, servers=SERVERS, workers=WORKERS) as (members, api):
            fire, done = Fire(api, storage), asyncio.Event()
            await fire.aim(BUCKETS)
            storage.set_faults(delay=SLOW)
            async with asyncio.timeout(MOST_SECONDS), asyncio.TaskGroup() as tasks:
                stopping = tasks.create_task(_stop_one_after_another(members, done))
                await fire.produce(PAUSED_DELIVERIES // BUCKETS)
                await fire.all_there()
                await fire.all_delivered()
                done.set()
            state = await fire.state()
            await members.stop()
    assert missing(state, fire.expected) == []
    assert twice(state) == []
    again, objects = repeated(state)
    print(  # noqa: T201
        f"{objects} deliveries by {WORKERS} workers that stood still {stopping.result()} times for {1.5 * LEASE} s, "
        f"with leases of {LEASE} s: 0 lost, {again} repeated PUTs ({again / objects:.1%})"
    )
