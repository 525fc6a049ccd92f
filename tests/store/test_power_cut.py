"""The power is cut while a writer writes: nothing acknowledged may be lost; and without the syncs it is lost."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

import consignee
from store.cut_disk import EXT4, UNJOURNALED, XFS, CutDisk, Kind, why_not
from store.ledger import Ledger
from store.victim import found_in, writing

CUTS = int(os.environ.get("POWER_CUTS", "3"))
SYNC_DATA = "os.fdatasync(fd)"
SYNC_OF_A_RENAMING = "    fsync_directory(path.parent)\n"

pytestmark = pytest.mark.root


async def losses(place: Path, kind: Kind, *, cuts: int, package: Path | None = None) -> tuple[int, list[str]]:
    """Cut the power so often, or until something is lost; return how many writes were acknowledged, and losses."""
    (place / "trial").mkdir()
    if (reason := why_not(place / "trial", kind)) is not None:
        pytest.skip(f"no disk whose power could be cut: {reason}")
    disk = CutDisk(place, kind)
    ledger = Ledger()
    for number in range(cuts):
        events = place / f"events{number}"
        with disk.mounted():
            told, copy = _write_and_cut(disk, events, package)
        disk.restore(copy)
        ledger.read(events, until=told)
        with disk.mounted():
            found = await found_in(disk.path / "store")
        if complaints := ledger.complaints(found):
            return ledger.acknowledged, complaints
        ledger.settle(found)
    return ledger.acknowledged, []


def _write_and_cut(disk: CutDisk, events: Path, package: Path | None) -> tuple[int, Path]:
    """Return how much the writer had told when the power was cut, and what was on the disk then."""
    with writing(disk.path / "store", events, package=package) as process:
        assert process.stdout is not None
        expected = (package or Path(consignee.__file__).parents[1]) / "consignee" / "__init__.py"
        assert process.stdout.readline().strip() == str(expected)
        time.sleep(random.uniform(0.05, 0.5))
        # The writer outlives this disk, as nothing does a real cut: a sync that was under way may then return, and be
        # reported, though the disk took nothing any more. What was told before the cut is what counts.
        told = events.stat().st_size
        return told, disk.cut()


def mutated(place: Path, old: str, new: str) -> Path:
    """Return a directory with a copy of the package in which the module of the syncs was changed."""
    shutil.copytree(Path(consignee.__file__).parent, place / "consignee", ignore=shutil.ignore_patterns("__pycache__"))
    disk = place / "consignee" / "store" / "disk.py"
    source = disk.read_text()
    assert source.count(old) == 1
    disk.write_text(source.replace(old, new))
    return place


@pytest.mark.parametrize("kind", [EXT4, XFS], ids=["ext4", "xfs"])
async def test_no_acknowledged_write_is_lost_to_a_power_cut(tmp_path: Path, kind: Kind) -> None:
    """`POWER_CUTS` says how often."""
    acknowledged, lost = await losses(tmp_path, kind, cuts=CUTS)
    assert lost == []
    assert acknowledged > CUTS
    print(f"{kind.name}: {CUTS} power cuts, {acknowledged} acknowledged writes, none lost")  # noqa: T201


async def test_without_the_data_sync_acknowledged_writes_are_lost(tmp_path: Path) -> None:
    """The evidence that the test above can fail."""
    package = mutated(tmp_path / "package", SYNC_DATA, "pass")
    _, lost = await losses(tmp_path, EXT4, cuts=10, package=package)
    assert lost != []


async def test_without_the_directory_sync_acknowledged_writes_are_lost(tmp_path: Path) -> None:
    """With a journal the next data sync happens to commit the renaming too; ext4 without one does not.

    Such a disk serves for this alone. It is not one to keep documents on: Linux before 7.0 does not write all of a changed
    inode there at an fsync (commit 1308255bbf84, "ext4: fix fsync(2) for nojournal mode").
    """
    package = mutated(tmp_path / "package", SYNC_OF_A_RENAMING, "")
    _, lost = await losses(tmp_path, UNJOURNALED, cuts=10, package=package)
    assert lost != []
