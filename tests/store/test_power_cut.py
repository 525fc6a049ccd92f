"""The power of a real disk is cut while a writer writes: nothing acknowledged may be lost; and without the syncs it is lost.

`POWER_CUTS` and `XFS_CUTS` say how often. Every second cut is aimed at a compaction: at a moment when its new file is there.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import consignee
from consignee.errors import StoreUnusable
from store.cut_disk import EXT4, UNJOURNALED, XFS, CutDisk, Kind, why_not
from store.ledger import Ledger
from store.promising import kept_promise
from store.syncs import PACKAGE, Sync, syncs, without
from store.victim import TESTS, environment, found_in, writers, writing
from store.writing import KIND

CUTS = int(os.environ.get("POWER_CUTS", "3"))
XFS_CUTS = int(os.environ.get("XFS_CUTS", str(min(CUTS, 3))))
SECONDS = float(os.environ.get("CUT_SECONDS", "3600"))
"""After so many, no more cuts are made."""
AIMED_SECONDS = 5.0

pytestmark = pytest.mark.root


@dataclass
class Run:
    """What came of many cuts; `compactions` counts the cuts during one."""

    cuts: int = 0
    compactions: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    lost: list[str] = field(default_factory=list)


def disk_in(place: Path, kind: Kind) -> CutDisk:
    """Return a new disk of that kind; skips if there can be none here."""
    (place / "trial").mkdir()
    if (reason := why_not(place / "trial", kind)) is not None:
        pytest.skip(f"no disk whose power could be cut: {reason}")
    return CutDisk(place, kind)


async def cut_again_and_again(place: Path, kind: Kind, *, cuts: int) -> Run:
    """Cut the power so often, or until something is lost."""
    disk, run = disk_in(place, kind), Run()
    with writers() as server:
        await _cut_until(disk, run, place / "events", server, cuts=cuts)
    return run


async def _cut_until(disk: CutDisk, run: Run, events: Path, server: "subprocess.Popen[str]", *, cuts: int) -> None:
    end = time.monotonic() + SECONDS
    while run.cuts < cuts and not run.lost and time.monotonic() < end:
        events.unlink(missing_ok=True)
        with disk.mounted():
            told, copy, compacting = _write_and_cut(disk, events, server, aimed=run.cuts % 2 == 1)
        run.compactions += compacting
        run.cuts += 1
        disk.restore(copy)
        run.ledger.read(events, until=told)
        with disk.mounted():
            found = await found_in(disk.path / "store")
        run.lost += run.ledger.complaints(found)
        run.ledger.settle(found)


def _write_and_cut(
    disk: CutDisk, events: Path, server: "subprocess.Popen[str]", *, aimed: bool
) -> tuple[int, Path, bool]:
    """Return how much the writer had told when the power was cut, what was on the disk, and whether it was compacting."""
    with writing(server, disk.path / "store", events) as victim:
        assert victim.opened() == consignee.__file__
        successor = disk.path / "store" / f"{KIND}.jsonl.new"
        _wait(successor, aimed=aimed)
        victim.signal(signal.SIGSTOP)
        # What it told before the cut is what counts. A sync may be under way: it ends only after the cut, if at all.
        told, compacting = events.stat().st_size, successor.exists()
        return told, disk.cut(), compacting


def _wait(successor: Path, *, aimed: bool) -> None:
    if not aimed:
        time.sleep(random.uniform(0.05, 0.4))
        return
    time.sleep(random.uniform(0.0, 0.1))
    end = time.monotonic() + AIMED_SECONDS
    while not successor.exists() and time.monotonic() < end:
        pass
    time.sleep(random.uniform(0.0, 0.001))


@pytest.mark.parametrize(("kind", "cuts"), [(EXT4, CUTS), (XFS, XFS_CUTS)], ids=["ext4", "xfs"])
async def test_no_acknowledged_write_is_lost_to_a_power_cut(tmp_path: Path, kind: Kind, cuts: int) -> None:
    run = await cut_again_and_again(tmp_path, kind, cuts=cuts)
    assert run.lost == []
    assert run.ledger.acknowledged > run.cuts
    assert run.cuts < 50 or run.compactions > run.cuts / 10, "the cuts meant for compactions did not meet them"
    print(  # noqa: T201
        f"{kind.name}: {run.cuts} power cuts, {run.compactions} of them during a compaction, "
        f"{run.ledger.acknowledged} acknowledged writes, none lost"
    )


@contextmanager
def _promised(disk: CutDisk, scene: str, package: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "store.promising", scene, str(disk.path / "store")]
    with subprocess.Popen(command, env=environment(package, TESTS), cwd="/", stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"promised\n"
            yield
        finally:
            process.kill()


async def is_kept(disk: CutDisk, scene: str, package: Path) -> bool:
    """Promise, cut the power, and return whether the promise is kept."""
    with disk.mounted(), _promised(disk, scene, package):
        copy = disk.cut()
    disk.restore(copy)
    with disk.mounted():
        try:
            return await kept_promise(scene, disk.path / "store")
        except StoreUnusable:
            return False


SEEN = {
    "store/disk.py:fsync_directory:0": "removed_set",
    "store/disk.py:sync_data:0": "change",
    "store/disk.py:write_aside:0": "first",
    "store/disk.py:put_in_place:0": "first",
    "store/log_file.py:append:0": "change",
    "store/log_file.py:_cut_back:0": "failure",
    "delivery/spool.py:_remove:0": "removed_set",
    "delivery/writing.py:finish:0": "kept_set",
}
"""Which promise is broken without a sync on a real disk. The journal hides the others, for which see `test_syncs`: what is
written for one sync takes along what came before it, and ext4 syncs the directories above a new file with it.
"""
QUICK = {"store/disk.py:put_in_place:0", "delivery/writing.py:finish:0"}
TRIED = [sync for sync in syncs() if sync.name in (SEEN if CUTS >= 50 else QUICK)]


@pytest.mark.parametrize("kind", [EXT4, XFS] if CUTS >= 50 else [EXT4], ids=lambda kind: kind.name)
@pytest.mark.parametrize("sync", TRIED, ids=lambda sync: sync.name)
async def test_without_a_sync_a_real_disk_breaks_the_promise(tmp_path: Path, sync: Sync, kind: Kind) -> None:
    """With it, the same disk keeps it: the evidence that the test above can fail."""
    disk, scene = disk_in(tmp_path, kind), SEEN[sync.name]
    assert await is_kept(disk, scene, PACKAGE.parent)
    with disk.mounted():
        shutil.rmtree(disk.path / "store")
    assert not await is_kept(disk, scene, without(sync, tmp_path / "package"))


async def test_without_the_directory_sync_a_compaction_loses_what_comes_after_it(tmp_path: Path) -> None:
    """With a journal the next data sync happens to commit the renaming too; ext4 without one does not.

    Such a disk serves for this alone. It is not one to keep documents on: Linux before 7.0 does not write all of a changed
    inode there at an fsync (commit 1308255bbf84, "ext4: fix fsync(2) for nojournal mode").
    """
    (sync,) = (one for one in syncs() if one.name == "store/disk.py:put_in_place:0")
    package = without(sync, tmp_path / "package")
    assert not await is_kept(disk_in(tmp_path, UNJOURNALED), "compaction", package)
