"""Each sync is needed: without it, what was promised is lost to a power cut. And there is none that these tests don't know."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consignee.errors import StoreUnusable
from store.promising import SCENES, kept_promise
from store.syncs import PACKAGE, Sync, syncs, without
from store.victim import TESTS, environment

NEEDED = {
    "store/disk.py:fsync_directory:0": "removed_set",
    "store/disk.py:make_directory:0": "first",
    "store/disk.py:sync_data:0": "change",
    "store/disk.py:write_aside:0": "first",
    "store/disk.py:put_in_place:0": "compaction",
    "store/log_file.py:append:0": "change",
    "store/log_file.py:_cut_back:0": "failure",
    "delivery/folder.py:move:0": "kept_set",
    "delivery/folder.py:sync:0": "kept_set",
    "delivery/keeping.py:_kept:0": "kept_set",
    "delivery/keeping.py:_sync:0": "kept_set",
    "delivery/keeping.py:_sync:1": "late_set",
    "delivery/spool.py:_remove:0": "removed_set",
    "delivery/writing.py:finish:0": "kept_set",
}
"""Which promise is broken without a sync."""
ELSEWHERE = {"store/disk.py:sync_data:1"}
"""What only systems without fdatasync call."""
EARLY = {"delivery/spool_intake.py:_write_held:0"}
"""What would be synced later too, but would have descriptors open until then."""


def test_no_sync_is_unknown() -> None:
    """Whoever adds one says here what it is for."""
    assert {sync.name for sync in syncs()} == NEEDED.keys() | ELSEWHERE | EARLY


async def _is_kept(scene: str, place: Path, package: Path) -> bool:
    """Promise on a strict disk, cut the power, and return whether the promise is kept."""
    (place / "root").mkdir(mode=0o700)
    command = [sys.executable, "-m", "store.promising", scene, str(place / "root" / "store"), str(place / "copy")]
    ran = subprocess.run(
        command, env=environment(package, TESTS), cwd="/", check=False, capture_output=True, text=True, timeout=60
    )
    if "FileExistsError" in ran.stderr:  # a directory of which two names are left: to remove one empties the other
        return False
    assert ran.returncode == 0, ran.stderr
    try:
        return await kept_promise(scene, place / "copy" / "store")
    except StoreUnusable:
        return False


@pytest.mark.parametrize("scene", SCENES)
async def test_a_promise_is_kept_on_a_disk_that_has_only_what_was_synced(tmp_path: Path, scene: str) -> None:
    assert await _is_kept(scene, tmp_path, PACKAGE.parent)


@pytest.mark.parametrize("sync", [one for one in syncs() if one.name in NEEDED], ids=lambda sync: sync.name)
async def test_without_a_sync_a_promise_is_broken(tmp_path: Path, sync: Sync) -> None:
    """The evidence that the test above can fail, and that nothing is synced in vain."""
    package = without(sync, tmp_path / "package")
    assert not await _is_kept(NEEDED[sync.name], tmp_path, package)
    shutil.rmtree(package)
