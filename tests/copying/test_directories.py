"""A copy of a store is the same store: here from one directory to another."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from canaries import COMPATIBLE_SECRET
from consignee.copying.opening import copy_store, end
from consignee.delivery.spool import Spool
from consignee.errors import SettingsError, StoreError, StoreUnusable
from consignee.sealed import open_secrets
from consignee.settings import Settings
from consignee.store.json_file import JsonFileStore
from copying.stores import LARGE, SEALER, content_of, fill, kept_in, settings_of
from samples.serving import environment

TESTS = Path(__file__).parent.parent
STRIDE = int(os.environ.get("COPY_STRIDE", "5"))


@pytest.fixture
async def old(tmp_path: Path) -> Settings:
    """The settings of a store with everything in it."""
    settings = settings_of(tmp_path / "old")
    await fill(settings)
    return settings


@pytest.fixture
def new(tmp_path: Path) -> Settings:
    """The settings of a place where there is nothing yet."""
    return settings_of(tmp_path / "new")


async def test_documents_and_files_are_the_same(old: Settings, new: Settings) -> None:
    """Each document at its revision, in the order of first saves; each file with the digests beside it; all of it private."""
    copied = await copy_store(old, new)
    assert await content_of(new) == await content_of(old)
    assert copied.documents == {"deliveries": 4, "destinations": 5, "result_sets": 3, "sealing_keys": 1}
    assert kept_in(Path(new.store.path) / "spool") == kept_in(Path(old.store.path) / "spool")
    assert copied.files is not None
    assert (copied.files.count, copied.files.bytes) == (5, len(LARGE) + 21_001)
    assert copied.files.missing == []
    for path in Path(new.store.path).rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    left = {path.name for path in Path(new.store.path).iterdir() if path.suffix != ".jsonl"}
    assert left == {"lock", "reserve", "spool"}


async def test_what_is_sealed_opens_in_the_copy(old: Settings, new: Settings) -> None:
    """It is bound to account, id and revision: a copy at another revision could not be opened."""
    await copy_store(old, new)
    store = JsonFileStore(Path(new.store.path))
    await store.open()
    document = await store.get("destinations", "ann", "00000007")
    await store.close()
    assert document is not None
    assert document.revision == 7
    assert open_secrets(document, SEALER)["secret"].reveal() == f"{COMPATIBLE_SECRET}7"


async def test_the_copied_files_are_the_copied_stores(old: Settings, new: Settings) -> None:
    """And of no other, not even of the one that they were copied from."""
    await copy_store(old, new)
    owners = []
    for settings in (old, new):
        store = JsonFileStore(Path(settings.store.path))
        await store.open()
        document = await store.get("spools", "", "own")
        assert document is not None
        owners.append(document.data["id"])
        await store.close()
    spool = Spool(Path(new.store.path) / "spool")
    await spool.open()
    assert await spool.claim(owners[1]) == owners[1]
    with pytest.raises(StoreUnusable, match="files of another store"):
        await spool.claim(owners[0])
    await spool.close()


async def test_a_store_is_never_copied_over_another(old: Settings, new: Settings) -> None:
    await fill(new, jobs=False)
    before = await content_of(new)
    with pytest.raises(StoreUnusable, match="there is a store in"):
        await copy_store(old, new)
    assert await content_of(new) == before


async def test_neither_end_may_be_in_use(old: Settings, new: Settings) -> None:
    for settings in (old, new):
        store = JsonFileStore(Path(settings.store.path))
        await store.open()
        with pytest.raises(StoreUnusable, match="in use: only one process may open it"):
            await copy_store(old, new)
        await store.close()
        assert list(Path(new.store.path).glob("*.jsonl")) == []


async def test_where_there_is_no_store_nothing_is_made(new: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no store in"):
        await copy_store(settings_of(tmp_path / "nothing"), new)
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "new").exists()


async def test_a_set_of_which_a_file_is_gone_or_damaged_is_named_and_left_out(old: Settings, new: Settings) -> None:
    """Its document is copied all the same: that it can't be delivered is to be seen there as it was here."""
    kept = Path(old.store.path) / "spool" / "kept"
    sizes = {path.stat().st_size: path for path in kept.glob("*/0")}
    sizes[1].unlink()
    sizes[20_000].write_bytes(b"d" * 20_000)
    copied = await copy_store(old, new)
    assert copied.files is not None
    assert sorted(copied.files.missing) == ["result set AAAA0000.0000000002", "result set AAAA0000.0000000003"]
    assert copied.files.count == 3
    assert {path.parent.name for path in (Path(new.store.path) / "spool").glob("kept/*/0")} == {sizes[1000].parent.name}
    assert await content_of(new) == await content_of(old)


async def test_without_files_the_documents_are_copied_alone(old: Settings, new: Settings) -> None:
    copied = await copy_store(old, new, files=False)
    assert copied.files is None
    assert await content_of(new) == await content_of(old)
    assert not (Path(new.store.path) / "spool").exists()


async def test_files_that_both_have_in_the_same_place_stay_there(old: Settings, new: Settings) -> None:
    """As when the spool has a place of its own in the settings: it stays the store's that it was."""
    shared = str(Path(old.store.path) / "spool")
    ends = [settings_with(one, shared) for one in (old, new)]
    before = kept_in(Path(shared))
    copied = await copy_store(*ends)
    assert copied.files is None
    assert kept_in(Path(shared)) == before
    assert copied.documents["spools"] == 1


async def test_files_that_stay_in_their_place_are_the_copys_also_if_none_are_to_be_copied(
    old: Settings, new: Settings
) -> None:
    """Or a service would find the files of another store there, and not start."""
    shared = str(Path(old.store.path) / "spool")
    copied = await copy_store(*(settings_with(one, shared) for one in (old, new)), files=False)
    assert copied.documents["spools"] == 1


async def test_files_that_are_not_where_the_settings_say_are_asked_for(old: Settings, new: Settings) -> None:
    """In place of a copy that has none of them, as of a store whose spool was elsewhere, or in a bucket."""
    spool = Path(old.store.path) / "spool"
    spool.rename(moved := spool.with_name("moved"))
    with pytest.raises(SettingsError, match=r"are not in .*/spool: .* delivery.spool their spool, or leave them out"):
        await copy_store(old, new)
    assert not spool.exists()
    assert not Path(new.store.path).exists()
    store = JsonFileStore(Path(old.store.path))
    await store.open()
    own = await store.get("spools", "", "own")
    assert own is not None
    await store.save("spools", "", "own", {"id": "staging-1"}, replaces=own.revision)
    await store.close()
    with pytest.raises(SettingsError, match=r"are in a staging bucket: name it in \[staging\], or leave them out"):
        await copy_store(old, new)
    moved.rename(spool)
    assert (await copy_store(old, new, files=False)).files is None


def settings_with(settings: Settings, spool: str) -> Settings:
    """Return settings whose spool is there."""
    return replace(settings, delivery=replace(settings.delivery, spool=spool))


async def test_a_copied_file_that_was_damaged_since_is_copied_anew(old: Settings, new: Settings) -> None:
    """By a repetition of a copy that was interrupted: what is whole is left as it is, what is not is mended."""
    await copy_store(old, new)
    store = Path(new.store.path)
    (store / "copying").mkdir(mode=0o700)
    (store / "copying" / "note").touch(mode=0o600)
    damaged, whole = (path for path in store.glob("spool/kept/*/0") if path.stat().st_size in (1, 1000))
    damaged.write_bytes(bytes(damaged.stat().st_size))
    stray = store / "spool" / "kept" / "aa"
    stray.mkdir(mode=0o700)
    before = whole.stat()
    with pytest.raises(StoreUnusable, match="in part only: repeat consignee store copy"):
        await JsonFileStore(store).open()
    await copy_store(old, new)
    assert kept_in(store / "spool") == kept_in(Path(old.store.path) / "spool")
    assert (whole.stat().st_ino, whole.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not stray.exists(), "no result set has it"


async def test_a_target_whose_disk_fails_stays_refused_and_a_repetition_ends_it(old: Settings, new: Settings) -> None:
    """Here it takes no file above 100,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            await copy_store(old, new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(StoreUnusable, match="in part only"):
        await JsonFileStore(Path(new.store.path)).open()
    await copy_store(old, new)
    assert await content_of(new) == await content_of(old)


async def test_what_the_operator_put_there_is_not_removed(old: Settings, new: Settings) -> None:
    letter = Path(new.store.path) / "copying" / "letter"
    letter.parent.mkdir(mode=0o700, parents=True)
    for directory in letter.parents[:3]:
        directory.chmod(0o700)
    letter.write_text("mine")
    with pytest.raises(StoreUnusable, match="letter is in the way"):
        await copy_store(old, new)
    assert letter.read_text() == "mine"


@pytest.mark.parametrize("text", ["postgresql://", "postgres://a b/c", "postgresql://ü/c", "mysql://a b@c/d"])
def test_what_is_no_url_of_a_database_is_refused_and_not_quoted(text: str, old: Settings) -> None:
    with pytest.raises(SettingsError, match="the URL must be") as refusal:
        end(text, old)
    assert "a b" not in str(refusal.value)


def test_an_empty_name_is_not_that_of_the_directory_where_one_happens_to_be(old: Settings) -> None:
    """As of a variable that is not set."""
    with pytest.raises(SettingsError, match="not an empty text"):
        end("", old)


@pytest.mark.skipif(os.name != "posix", reason="it forks")
def test_a_copy_that_is_killed_at_any_step_leaves_nothing_that_opens_as_half_a_store(tmp_path: Path) -> None:
    """It opens empty, is refused, or opens whole; and a repetition ends with all of it, whatever was left.

    `COPY_STRIDE` says at which steps: 1 is each.
    """
    done = subprocess.run(
        [sys.executable, "-m", "copying.interrupted", str(tmp_path), str(STRIDE)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    kinds = "deliveries destinations result_sets sealing_keys spools"
    refused = 0
    for said, again, is_same in outcomes:
        in_part = "in part only: repeat consignee store copy" in said
        refused += in_part
        assert in_part or said in ("nothing", kinds)
        assert again == "copied" if said != kinds else "there is a store" in again
        assert is_same
    assert refused > 10
    print(f"killed at {len(outcomes)} steps: {refused} times refused, 0 times half a store")  # noqa: T201
