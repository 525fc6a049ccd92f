"""Restores a backup where there is nothing yet: all of it, or nothing.

All is written where no store looks for it; the documents take their names when everything else is durable. Until then, and from
before the first byte, the directory `restoring` in the store's keeps any store from being opened there. Whatever ends the work
half-way, the next restoring removes what that left, and begins again.
"""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consignee.backups import BackupUnusable
from consignee.backups.verifying import Manifest, Member, check_seal, members_of, read_manifest
from consignee.delivery.spool import spool_directory
from consignee.errors import ConsigneeError, StoreUnusable
from consignee.sealing_key import KIND as SEALING_KEYS
from consignee.settings import Settings
from consignee.store.directory import RESTORING, take_lock
from consignee.store.disk import aside, fsync_directory, make_directory, new_directory, write_aside, write_durably
from consignee.store.json_file import JsonFileStore
from consignee.store.private import require_private

_NOTE: Final = "spool.json"
_RESTORED: Final = "restored"


@dataclass(frozen=True)
class Restored:
    """What was restored; `keys` are the ids of the keys that it is sealed with."""

    manifest: Manifest
    keys: tuple[str, ...]


async def restore(backup: Path, settings: Settings) -> Restored:
    """Restore a backup into the store and the spool that the settings name, where there is nothing yet.

    Raises BackupUnusable, StoreUnusable if there is something or a server runs, StoreError or OSError; then nothing is there
    that was not there before.
    """
    check_seal(backup)
    manifest = read_manifest(backup)
    store, spool = Path(settings.store.path), spool_directory(settings)
    with ExitStack() as stack:
        for directory, what in ((store, "store"), (spool, "spool"))[: 1 + manifest.files]:
            make_directory(directory)
            require_private(directory)
            stack.callback(os.close, take_lock(directory, what))
        _clear(store)
        _require_empty(store, spool if manifest.files else None)
        try:
            return await _restore(backup, manifest, store, spool)
        except BaseException:
            _clear(store)
            raise


async def _restore(backup: Path, manifest: Manifest, store: Path, spool: Path) -> Restored:
    staged = store / RESTORING
    _begin(staged, spool if manifest.files else None)
    if manifest.files:
        make_directory(spool / "kept")
    _unpack(members_of(backup, manifest), staged, spool / "kept")
    keys = await _opened(staged, backup)
    for file in staged.glob("*.jsonl"):
        file.rename(store / file.name)
    fsync_directory(store)
    staged.rename(store / _RESTORED)  # from here on it is a store
    fsync_directory(store)
    shutil.rmtree(store / _RESTORED)
    return Restored(manifest, keys)


def _require_empty(store: Path, spool: Path | None) -> None:
    if any(store.glob("*.jsonl")):
        raise StoreUnusable(f"there is a store in {store} already: move it away, or restore to another place")
    if spool is not None and ((spool / "owner").exists() or _holds_something(spool / "kept")):
        raise StoreUnusable(f"there is a spool in {spool} already: move it away, or restore to another place")


def _holds_something(directory: Path) -> bool:
    return directory.exists() and (not directory.is_dir() or any(directory.iterdir()))


def _begin(staged: Path, spool: Path | None) -> None:
    """The note comes with the directory in one step: it says what an interrupted restoring may have written to."""
    new = staged.with_name(f"{RESTORING}.new")
    shutil.rmtree(new, ignore_errors=True)
    new_directory(new)
    note = {"spool": None if spool is None else str(spool.absolute())}
    write_durably(new / _NOTE, json.dumps(note).encode())
    new.rename(staged)
    fsync_directory(staged.parent)


def _clear(store: Path) -> None:
    """Remove what an interrupted restoring left; while its directory is there, nobody else can have written there."""
    for rest in (store / _RESTORED, store / f"{RESTORING}.new"):
        shutil.rmtree(rest, ignore_errors=True)
    if not (staged := store / RESTORING).exists():
        return
    spool = json.loads((staged / _NOTE).read_text())["spool"]
    if spool is not None and not (Path(spool) / "owner").exists() and (kept := Path(spool) / "kept").exists():
        shutil.rmtree(kept)
    for file in store.glob("*.jsonl"):
        file.unlink()
    fsync_directory(store)
    staged.rename(store / _RESTORED)
    fsync_directory(store)
    shutil.rmtree(store / _RESTORED)


def _unpack(members: Iterable[Member], staged: Path, kept: Path) -> None:
    written = set[Path]()
    for member in members:
        path = staged / f"{member.place[1]}.jsonl" if member.place[0] == "store" else kept.joinpath(*member.place[1:])
        if path.parent not in written:
            make_directory(path.parent)
            written.add(path.parent)
        os.close(write_aside(path, member.pieces))
        aside(path).rename(path)
    for directory in written:
        fsync_directory(directory)


async def _opened(staged: Path, backup: Path) -> tuple[str, ...]:
    """Return the ids of the sealing keys of what was unpacked; raises BackupUnusable if no store opens there."""
    store = JsonFileStore(staged, reserve=0)
    try:
        await store.open()
        return tuple(document.id for document in await store.list(SEALING_KEYS, ""))
    except ConsigneeError as error:
        raise BackupUnusable(f"the store in {backup} does not open: {error}; nothing was restored") from error
    finally:
        await store.close()
