"""Three servers and four workers on one database, one of which is killed again and again: nothing may be lost."""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from consignee.secret import Secret
from endurance.test_chaos import FAULTS, missing
from fakes.chaos_process import chaos_process
from fakes.scripted import Answer, Request, scripted

from .fire import Fire, repeated, twice
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


@dataclass
class Heard:
    """The customer's webhook: the messages by result set, each with the ids that it came under."""

    messages: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        """Take a message."""
        result_set = str(json.loads(request.body)["result_set"]["id"])
        self.messages.setdefault(result_set, []).append(request.headers["webhook-id"])
        return Answer()

    async def all_of(self, result_sets: Iterable[str]) -> None:
        """Return once there was a message about each."""
        while not set(result_sets) <= self.messages.keys():
            await asyncio.sleep(0.25)


async def test_nothing_is_lost_however_often_one_of_the_processes_is_killed(tmp_path: Path, empty_url: Secret) -> None:
    """`DELIVERIES` says how many, `KILL_EVERY` after how many seconds one is killed each time.

    The storage fails in every way, for the customers' buckets and for the one that files are staged in.
    """
    began = time.monotonic()
    heard = Heard()
    with chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path) as storage:
        site = prepare(tmp_path, empty_url, storage, delivery=SETTINGS)
        async with scripted(heard) as webhook, fleet(site, servers=SERVERS, workers=WORKERS) as (members, api):
            fire, done = Fire(api, storage), asyncio.Event()
            await fire.aim(BUCKETS, notification_webhook=webhook.url)
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
                await heard.all_of(fire.accepted)
            state = await fire.state()
            await members.stop()
    assert len(fire.expected) == DELIVERIES
    assert missing(state, fire.expected) == []
    assert twice(state) == []
    again, objects = repeated(state)
    told = sum(len(ids) for ids in heard.messages.values())
    print(  # noqa: T201
        f"{objects} deliveries of {len(fire.accepted)} result sets by {SERVERS} servers and {WORKERS} workers, "
        f"{members.kills} kills, 0 lost, {again} repeated PUTs ({again / objects:.1%}), {told} messages, "
        f"faults {dict(state.faults)}, {produced - began:.0f} s until all were accepted, {time.monotonic() - began:.0f} s in all"
    )
