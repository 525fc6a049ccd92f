"""A restoring leaves all of a backup, or nothing that opens."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backups.filled import OWNER, back_up, content_of, fill, filled_and_backed_up, settings_of
from consignee.backups.restoring import restore
from consignee.delivery.spool import Spool
from consignee.errors import StoreUnusable
from consignee.sections import DeliverySettings
from consignee.store.json_file import JsonFileStore
from samples.serving import environment

TESTS = Path(__file__).parent.parent
STRIDE = int(os.environ.get("RESTORE_STRIDE", "3"))


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    """A backup of some documents and files."""
    await fill(tmp_path / "old")
    return await back_up(tmp_path / "old", tmp_path / "backup.tar")


async def test_all_of_it_is_restored_privately(backup: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "new")
    restored = await restore(backup, settings)
    assert restored.keys == ("1a2b3c4d", "5e6f7a8b"), "the third one is registered, but seals nothing"
    assert content_of(tmp_path / "new" / "store") == content_of(tmp_path / "old" / "store")
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert sorted(path.name for path in (tmp_path / "new" / "store").iterdir() if path.suffix != ".jsonl") == [
        "lock",
        "spool",
    ]


async def test_a_key_that_was_put_in_place_before_is_no_hindrance(backup: Path, tmp_path: Path) -> None:
    """By default it lies in the store's directory."""
    (tmp_path / "new" / "store").mkdir(parents=True, mode=0o700)
    key = tmp_path / "new" / "store" / "secret.key"
    key.write_text("a key")
    await restore(backup, settings_of(tmp_path / "new"))
    assert key.read_text() == "a key"


async def test_a_spool_elsewhere_is_restored_there(backup: Path, tmp_path: Path) -> None:
    elsewhere = replace(settings_of(tmp_path / "new"), delivery=DeliverySettings(spool=str(tmp_path / "elsewhere")))
    await restore(backup, elsewhere)
    assert len(list((tmp_path / "elsewhere" / "kept").glob("*/*"))) == 3
    assert not (tmp_path / "new" / "store" / "spool").exists()


async def test_it_is_not_restored_over_something(backup: Path, tmp_path: Path) -> None:
    """Neither over a store, whole or not, nor over files, nor over a spool that has an owner; nothing is changed then."""
    settings = settings_of(tmp_path / "new")
    store = tmp_path / "new" / "store"
    await restore(backup, settings)
    before = content_of(store)
    with pytest.raises(StoreUnusable, match="there is a store"):
        await restore(backup, settings)
    assert content_of(store) == before
    for file in store.glob("*.jsonl"):
        file.unlink()
    with pytest.raises(StoreUnusable, match="there is a spool"):
        await restore(backup, settings)
    assert len(content_of(store)) == 3
    for kept in (store / "spool" / "kept").glob("*"):
        kept.rename(tmp_path / kept.name)
    (store / "spool" / "owner").touch()
    with pytest.raises(StoreUnusable, match="there is a spool"):
        await restore(backup, settings)


async def test_the_documents_alone_are_restored_beside_a_spool(backup: Path, tmp_path: Path) -> None:
    """As when the disk of the store was lost, and that of the spool was not."""
    settings = settings_of(tmp_path / "new")
    await restore(backup, settings)
    whole = content_of(tmp_path / "new" / "store")
    for file in (tmp_path / "new" / "store").glob("*.jsonl"):
        file.unlink()
    await restore(await back_up(tmp_path / "old", tmp_path / "documents.tar", files=False), settings)
    assert content_of(tmp_path / "new" / "store") == whole


async def test_it_is_not_restored_while_somebody_has_the_store_open(backup: Path, tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path / "new" / "store")
    await store.open()
    with pytest.raises(StoreUnusable, match="in use"):
        await restore(backup, settings_of(tmp_path / "new"))
    await store.close()


async def test_a_disk_that_fails_on_the_way_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    """Here it takes no file above 800 bytes; the next time it works."""
    store = tmp_path / "new" / "store"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (800, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await restore(backup, settings_of(tmp_path / "new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name for path in (tmp_path / "new").rglob("*")} == {"store", "spool", "lock"}
    await restore(backup, settings_of(tmp_path / "new"))
    assert content_of(store) == content_of(tmp_path / "old" / "store")


async def test_a_spool_that_somebody_took_after_an_interrupted_restoring_is_left_alone(
    backup: Path, tmp_path: Path
) -> None:
    """Its files are not ours to remove any more."""
    settings = settings_of(tmp_path / "new")
    await restore(backup, settings)
    store = tmp_path / "new" / "store"
    (store / "restoring").mkdir(mode=0o700)
    (store / "restoring" / "spool.json").write_text(json.dumps({"spool": str(store / "spool"), "owner": "another"}))
    with pytest.raises(StoreUnusable, match="there is a spool"):
        await restore(backup, settings)
    assert len(content_of(store)) == 3, "the documents were of the interrupted one, and are gone"


async def test_another_store_can_not_take_a_restored_spool_before_its_own_does(backup: Path, tmp_path: Path) -> None:
    await restore(backup, settings_of(tmp_path / "new"))
    spool = Spool(tmp_path / "new" / "store" / "spool")
    await spool.open()
    with pytest.raises(StoreUnusable, match="files of another store"):
        await spool.claim("another")
    assert await spool.claim(OWNER) == OWNER
    await spool.close()


async def test_an_interrupted_restoring_is_not_cleared_away_while_somebody_has_its_spool_open(
    backup: Path, tmp_path: Path
) -> None:
    """Also if the settings name another spool by now. Later its files go, for they are ours."""
    elsewhere = Spool(tmp_path / "elsewhere")
    await elsewhere.open()
    (tmp_path / "elsewhere" / "kept" / "aa").mkdir(mode=0o700)
    interrupted(tmp_path / "new" / "store", tmp_path / "elsewhere")
    with pytest.raises(StoreUnusable, match=r"the spool in .* is in use"):
        await restore(backup, settings_of(tmp_path / "new"))
    assert await elsewhere.tokens() == ["aa"]
    await elsewhere.close()
    await restore(backup, settings_of(tmp_path / "new"))
    assert not (tmp_path / "elsewhere" / "kept").exists()


async def test_an_interrupted_restoring_whose_spool_is_gone_is_cleared_away(backup: Path, tmp_path: Path) -> None:
    interrupted(tmp_path / "new" / "store", tmp_path / "gone")
    await restore(backup, settings_of(tmp_path / "new"))
    assert content_of(tmp_path / "new" / "store") == content_of(tmp_path / "old" / "store")
    assert not (tmp_path / "gone").exists()


def interrupted(store: Path, spool: Path) -> None:
    """Leave what an interrupted restoring leaves."""
    (store / "restoring").mkdir(mode=0o700, parents=True)
    store.chmod(0o700)
    store.parent.chmod(0o700)
    (store / "restoring" / "spool.json").write_text(json.dumps({"spool": str(spool), "owner": None}))


@pytest.mark.parametrize("name", ["restored", "restoring.new", "restoring"])
@pytest.mark.parametrize("live", [True, False])
async def test_what_the_operator_put_there_is_not_removed(backup: Path, tmp_path: Path, name: str, live: bool) -> None:
    """Whatever it is called, and whether or not the restoring is refused."""
    store, settings = tmp_path / "new" / "store", settings_of(tmp_path / "new")
    if live:
        await restore(backup, settings)
    (store / name).mkdir(mode=0o700, parents=True)
    store.chmod(0o700)
    (store / name / "letter").write_text("mine")
    if live or name == "restoring":
        with pytest.raises(StoreUnusable, match="there is a store" if live else "letter is in the way"):
            await restore(backup, settings)
    else:
        await restore(backup, settings)
    assert (store / name / "letter").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="it forks")
def test_a_restoring_that_is_killed_at_any_step_leaves_nothing_that_opens_as_half_a_store(tmp_path: Path) -> None:
    """It opens empty, is refused, or opens whole; and a repetition ends with all of it, whatever was left.

    `RESTORE_STRIDE` says at which steps: 1 is each.
    """
    whole = filled_and_backed_up(tmp_path / "old", tmp_path / "backup.tar")
    kinds = "collections destinations result_sets sealing_keys spools"
    done = subprocess.run(
        [sys.executable, "-m", "backups.interrupted", str(tmp_path / "backup.tar"), str(tmp_path / "new"), str(STRIDE)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    refused = 0
    for said, again, left, content in outcomes:
        in_part = "in part only: repeat consignee restore" in said
        refused += in_part
        assert in_part or said in ("nothing", kinds)
        assert again == "restored" if said != kinds else "there is a store" in again
        assert {path: bytes.fromhex(text) for path, text in content.items()} == whole
        assert {"lock", "spool"} <= set(left) <= {"lock", "spool", "reserve", "restoring"}
    assert refused > 10
    assert {said == kinds for said, *_ in outcomes} == {True, False}
    print(f"killed at {len(outcomes)} steps: {refused} times refused, 0 times half a store")  # noqa: T201
