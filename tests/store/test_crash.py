"""A writer is killed again and again: nothing acknowledged may be lost, and every start is clean."""

import os
import random
import time
from pathlib import Path

from store.ledger import Ledger
from store.victim import found_in, writing
from store.writing import KIND

KILLS = int(os.environ.get("KILLS", "10"))


async def test_no_acknowledged_write_is_lost_to_a_kill(tmp_path: Path) -> None:
    """`KILLS` says how often; four writers, and compactions under way, at every moment of a run."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    dice = random.Random(seed)
    ledger = Ledger()
    inodes: set[int] = set()
    for number in range(KILLS):
        events = tmp_path / f"events{number}"
        _write_and_kill(tmp_path / "store", events, dice)
        if events.exists():
            ledger.read(events)
        found = await found_in(tmp_path / "store")
        assert ledger.complaints(found) == [], f"seed {seed}, kill {number}"
        ledger.settle(found)
        inodes.update(path.stat().st_ino for path in (tmp_path / "store").glob(f"{KIND}.jsonl"))
    assert ledger.acknowledged > 10 * KILLS
    assert len(inodes) > 1, "no compaction has happened"
    print(f"{KILLS} kills, {ledger.acknowledged} acknowledged writes, none lost")  # noqa: T201


def _write_and_kill(store: Path, events: Path, dice: random.Random) -> None:
    with writing(store, events) as process:
        if dice.random() < 0.8:
            assert process.stdout is not None
            assert process.stdout.readline(), "the start was not clean"
            time.sleep(dice.uniform(0, 0.4))
        else:  # perhaps in the middle of its start
            time.sleep(dice.uniform(0.1, 0.5))
