"""A rotation is killed before each of its system calls: all secrets are there, and the next one ends it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consignee.rotation import Rotation
from consignee.secret import Sealer
from consignee.store.json_file import JsonFileStore
from rotation_victim import settings_in
from samples.serving import environment
from vault import Plain, counts, fill, ids_in, opened, rotation_of

EACH = int(os.environ.get("SEALED_EACH", "8"))
TESTS = Path(__file__).parent


@asynccontextmanager
async def started(place: Path) -> AsyncIterator[tuple[JsonFileStore, Rotation, Sealer]]:
    """Yield an open store with its rotation and its sealer, as a start finds it."""
    store = JsonFileStore(place / "store")
    await store.open()
    try:
        yield store, *await rotation_of(store, settings_in(place))
    finally:
        await store.close()


async def made(place: Path) -> Plain:
    """Fill a new store, and return what it holds."""
    async with started(place) as (store, _, sealer):
        return await fill(store, sealer, each=EACH)


async def ended(place: Path, expected: Plain) -> tuple[int, int]:
    """See that all is there after the end of a process, and after another rotation.

    Returns how much the oldest key had left, and how many keys there are in the end.
    """
    async with started(place) as (store, rotation, sealer):
        assert await opened(store, sealer) == expected
        before = counts(await rotation.status())
        left = list(before.values())[-1]
        after = counts(await rotation.rotate())
        assert after.pop(sealer.key_id) == len(expected) // 2
        assert set(after.values()) == {0}
        assert await opened(store, sealer) == expected
    return left, len(ids_in(settings_in(place)))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plain]:
    """Where the rotations were killed, and what must be read there."""
    place = tmp_path_factory.mktemp("rotations")
    expected = asyncio.run(made(place / "pristine"))
    work = place / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "rotation_victim", str(place / "pristine"), str(work)],
        env=environment(coverage=False) | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return work, expected


async def test_a_rotation_that_is_killed_anywhere_loses_nothing_and_is_ended_by_the_next(
    killed: tuple[Path, Plain],
) -> None:
    """Before the key file is written, after it, between documents: what is left becomes less and less."""
    work, expected = killed
    places = sorted(int(path.name) for path in work.iterdir() if path.is_dir())
    found = [await ended(work / str(number), expected) for number in places]
    left = [one for one, _ in found]
    total = len(expected) // 2
    assert {0, total} < set(left)
    assert [keys for _, keys in found] == [2 if one else 3 for one in left]
    kills, steps = len(places) - 1, len(set(left))
    print(f"{kills} kills, {total} documents, {steps} different numbers left, all readable, 0 left in the end")  # noqa: T201


def test_the_new_key_is_on_the_disk_before_the_store_hears_of_it(killed: tuple[Path, Plain]) -> None:
    """Its file is synced, renamed, and the name synced; then its id is saved, and synced; only then a document."""
    calls = [tuple(call) for call in json.loads((killed[0] / "calls.json").read_text())]
    new = calls.index(("fsync", "secret.key.new"))
    renamed = calls.index(("replace", "secret.key"))
    named = calls.index(("fsync", "keys"))
    registered = calls.index(("write", "sealing_keys.jsonl"))
    synced = calls.index(("fdatasync", "sealing_keys.jsonl"))
    first = calls.index(("write", "destinations.jsonl"))
    assert new < renamed < named < registered < synced < first
