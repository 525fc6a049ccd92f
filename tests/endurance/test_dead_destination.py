"""One dead destination among many must not slow the others down."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from fakes.chaos_process import ChaosServer, chaos_process
from samples.serving import serving

from .service import Api, bucket, write_config

DESTINATIONS = int(os.environ.get("DESTINATIONS", "50"))
ROUNDS = int(os.environ.get("ROUNDS", "1"))
SETS = 4
SETTINGS = """\
idle_timeout = 3
retries = ["10s", "1m", "5m"]
"""


def waits(results: Sequence[dict[str, Any]], *, but: str) -> list[float]:
    """Return how many seconds each delivery took from its result set's completion, but for one destination's."""
    return [
        (_time(status["log"][-1]["date_time"]) - _time(status["log"][0]["date_time"])).total_seconds()
        for result in results
        for destination, status in result["destination_status"].items()
        if destination != but
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def _phase(api: Api, ids: list[str], *, dead: bool, storage: ChaosServer) -> list[float]:
    storage.set_faults(delay=5)
    storage.set_faults(bucket="bucket-000", dead=dead, stall_seconds=600)
    collection = await api.collection("phase", ids)
    for _ in range(SETS):
        await api.upload(collection, {"a.bin": b"a" * 1000, "b.bin": b"b" * 1000})
    while True:
        answer = await api.get(f"/collections/{collection}/results")
        states = [one["destination_status"] for one in answer["results"]]
        if all(state[one]["status"] == "success" for state in states for one in ids[1:]):
            break
        await asyncio.sleep(0.1)
    assert all((state[ids[0]]["status"] == "success") is not dead for state in states) or not dead
    return waits(answer["results"], but=ids[0])


async def test_a_dead_destination_does_not_slow_the_others_down(tmp_path: Path) -> None:
    """`ROUNDS` says how often each is measured, in turns; the figures are printed, and no time is asserted."""
    config = write_config(tmp_path, delivery=SETTINGS)
    times: dict[bool, list[float]] = {False: [], True: []}
    with chaos_process("bucket-*", directory=tmp_path) as storage, serving(config, coverage=False) as server:
        async with aiohttp.ClientSession() as session, asyncio.timeout(600):
            api = Api(session, server.url)
            ids = [await bucket(api, storage, number) for number in range(DESTINATIONS)]
            for _ in range(ROUNDS):
                for dead in (False, True):
                    times[dead] += await _phase(api, ids, dead=dead, storage=storage)
        assert len(times[True]) == len(times[False]) == ROUNDS * SETS * (DESTINATIONS - 1)
    without, with_ = (statistics.quantiles(times[dead], n=20)[18] for dead in (False, True))
    print(  # noqa: T201
        f"{DESTINATIONS} destinations, 95th percentile to delivery: {without * 1000:.0f} ms with all well, "
        f"{with_ * 1000:.0f} ms with one dead ({with_ / without:.2f})"
    )
