"""A writer is killed again and again: nothing acknowledged may be lost, and every start is clean."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import consignee
from store.ledger import Ledger
from store.victim import found_in, writers, writing
from store.writing import KIND

KILLS = int(os.environ.get("STORE_KILLS", "10"))


@pytest.fixture
def server() -> "Iterator[subprocess.Popen[str]]":
    """The process of which the writers are children."""
    with writers() as server:
        yield server


async def test_no_acknowledged_write_is_lost_to_a_kill(tmp_path: Path, server: "subprocess.Popen[str]") -> None:
    """`STORE_KILLS` says how often; four writers, and compactions under way, at every moment of a run."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    dice = random.Random(seed)
    ledger = Ledger()
    inodes: set[int] = set()
    compacting = 0
    for number in range(KILLS):
        events = tmp_path / f"events{number}"
        _write_and_kill(server, tmp_path / "store", events, dice)
        if events.exists():
            ledger.read(events)
            events.unlink()
        compacting += (tmp_path / "store" / f"{KIND}.jsonl.new").exists()
        found = await found_in(tmp_path / "store")
        assert ledger.complaints(found) == [], f"seed {seed}, kill {number}"
        ledger.settle(found)
        inodes.update(path.stat().st_ino for path in (tmp_path / "store").glob(f"{KIND}.jsonl"))
    assert ledger.acknowledged > 10 * KILLS
    assert len(inodes) > 1, "no compaction has happened"
    print(  # noqa: T201
        f"{KILLS} kills, {compacting} of them during one of many compactions, {ledger.acknowledged} acknowledged writes, "
        "none lost"
    )


def _write_and_kill(server: "subprocess.Popen[str]", store: Path, events: Path, dice: random.Random) -> None:
    with writing(server, store, events) as victim:
        if dice.random() < 0.8:
            assert victim.opened() == consignee.__file__, "the start was not clean"
            time.sleep(dice.uniform(0, 0.3))
        else:  # perhaps in the middle of its start
            time.sleep(dice.uniform(0, 0.05))
