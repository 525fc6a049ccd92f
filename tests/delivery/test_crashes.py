"""Processes that end in the middle of a delivery, and what the next one makes of it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from consignee.errors import StoreError
from delivery.depot import Depot, FrailStore, depot, until
from delivery.doomed import CANARY

TESTS = Path(__file__).parent.parent
LEASE = 30.0
LONG = 30.0


async def _started(place: Path, mode: str) -> Process:
    program = [sys.executable, "-m", "delivery.doomed", str(place), mode]
    return await asyncio.create_subprocess_exec(*program, stdout=PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)})


async def _ended(place: Path, mode: str) -> tuple[int | None, list[str]]:
    process = await _started(place, mode)
    async with asyncio.timeout(LEASE + 1 + LONG):
        printed, _ = await process.communicate()
    return process.returncode, printed.decode().splitlines()


def _texts(status: dict[str, Any]) -> list[str]:
    return [entry["text"] for entry in status["log"]]


async def test_a_delivery_that_ended_three_processes_is_set_aside(tmp_path: Path) -> None:
    """Its storage is not asked for anything any more."""
    for _ in range(3):
        assert await _ended(tmp_path, "deadly") == (9, [])
    code, (printed,) = await _ended(tmp_path, "deadly")
    status = json.loads(printed)
    assert (code, status["status"], status["code"], status["attempts"]) == (0, "failed", "internal_error", 3)
    assert _texts(status)[-1] == "Set aside: 3 attempts in a row ended with the whole service."


async def test_after_a_kill_the_next_process_goes_on_within_a_lease_and_a_second(tmp_path: Path) -> None:
    """It goes on with the upload that was begun; what the storage calls that upload is nowhere to be read meanwhile."""
    process = await _started(tmp_path, "hanging")
    assert process.stdout is not None
    async with asyncio.timeout(LONG):
        assert await process.stdout.readline() == b"uploading\n"
    process.kill()
    await process.communicate()
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path.name
    code, (resumed, printed) = await _ended(tmp_path, "working")
    status = json.loads(printed)
    assert (code, resumed, status["status"], status["attempts"]) == (0, "resumed", "success", 2)
    assert "An attempt was interrupted (1 in a row)." in _texts(status)


async def _interrupted(d: Depot, store: FrailStore) -> None:
    """One attempt that ends without a word: also the disk is gone."""
    (job,) = await d.parts.queue.claim(1, each=1)
    attempt = asyncio.create_task(d.parts.courier.work(job))
    await until(lambda: d.warehouse.at_gate)
    store.failing = {"deliveries"}
    attempt.cancel()
    with pytest.raises(StoreError):
        await attempt
    store.failing = set()
    d.clock.now += LEASE + 1


@pytest.mark.parametrize(
    ("gates", "status"), [(["a", "b", "c", "d"], "success"), (["a", "b", "b", "b"], "failed"), (["a"] * 3, "failed")]
)
async def test_crashes_between_which_files_arrive_are_no_reason_to_set_a_delivery_aside(
    tmp_path: Path, gates: list[str], status: str
) -> None:
    """A service that is restarted again and again while a large delivery goes on is not killed by that."""
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store, per_destination=1) as d:
        result_set = await d.ready(files=dict.fromkeys("abcd", b"x"))
        d.warehouse.in_parts = True  # so that what arrived before is saved when an upload begins
        for gate in gates:
            d.warehouse.gates = {gate: asyncio.Event()}
            await _interrupted(d, store)
        d.warehouse.gates = {}
        await d.work()
        assert (await d.status(result_set))["status"] == status


async def test_an_interruption_that_cannot_be_noted_at_once_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        await d.parts.queue.claim(1, each=1)
        d.clock.now += LEASE + 1
        (job,) = await d.parts.queue.claim(1, each=1)
        store.fail_next = {"deliveries": 1}
        await d.parts.courier.work(job)
        assert f"the interruption of delivery {job.id} could not be noted: the disk is full" in caplog.text
        assert _texts(await d.status(result_set))[-2] == "An attempt was interrupted (1 in a row)."
        assert await d.has(result_set, "success")
