"""Restores a backup where there is nothing yet: all of it, or nothing.

All is written where no store looks for it; the documents take their names when everything else is durable. Until then, and from
before the first byte, a note in the directory `restoring` in the store's keeps any store from being opened there. Whatever ends
the work half-way, the next restoring removes what that left, and begins again. Nothing is removed that the note does not cover.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consignee.backups import BackupUnusable
from consignee.backups.verifying import Manifest, Member, check_seal, members_of, read_manifest
from consignee.delivery.spool import SPOOLS, spool_directory
from consignee.errors import ConsigneeError, StoreUnusable
from consignee.resealing import count_keys
from consignee.settings import Settings
from consignee.store.directory import RESTORING, take_lock
from consignee.store.disk import aside, fsync_directory, make_directory, write_aside, write_durably
from consignee.store.json_file import JsonFileStore
from consignee.store.private import require_private

_STAGED: Final = os.path.dirname(RESTORING)
_MADE: Final = re.compile(r"lock|([a-z_]+\.jsonl|spool\.json)(\.new)?")
"""What a restoring leaves in its directory, wherever it ends."""


@dataclass(frozen=True)
class Restored:
    """What was restored; `keys` are the ids of the keys that something in it is sealed with."""

    manifest: Manifest
    keys: tuple[str, ...]


async def restore(backup: Path, settings: Settings) -> Restored:
    """Restore a backup into the store and the spool that the settings name, where there is nothing yet.

    Raises BackupUnusable, StoreUnusable if there is something or a server runs, StoreError or OSError; then nothing is there
    that was not there before.
    """
    check_seal(backup)
    manifest = read_manifest(backup)
    store = Path(settings.store.path)
    spool = Path(os.path.realpath(spool_directory(settings))) if manifest.files else None
    with ExitStack() as stack:
        _hold(store, "store", stack)
        for place in {place for place in (spool, _noted_spool(store)) if place is not None}:
            _hold(place, "spool", stack)
        if not (store / RESTORING).exists():
            _require_empty(store, spool)
        _clear(store)
        _require_empty(store, spool)
        try:
            return await _restore(backup, manifest, store, spool)
        except BaseException:
            _clear(store)
            raise


def _hold(directory: Path, what: str, stack: ExitStack) -> None:
    make_directory(directory)
    require_private(directory)
    stack.callback(os.close, take_lock(directory, what))


async def _restore(backup: Path, manifest: Manifest, store: Path, spool: Path | None) -> Restored:
    staged = store / _STAGED
    make_directory(staged)
    _note(store, spool)
    kept = staged if spool is None else spool / "kept"
    make_directory(kept)
    _unpack(members_of(backup, manifest), staged, kept)
    keys, owner = await _opened(staged, backup)
    if spool is not None and owner is not None:
        _note(store, spool, owner)
        write_durably(spool / "owner", f"{owner}\n".encode())
    for file in staged.glob("*.jsonl"):
        file.rename(store / file.name)
    fsync_directory(store)
    (store / RESTORING).unlink()  # from here on it is a store
    fsync_directory(staged)
    with suppress(OSError):  # what is left of the directory is in nobody's way
        _clear(store)
    return Restored(manifest, keys)


def _require_empty(store: Path, spool: Path | None) -> None:
    if any(store.glob("*.jsonl")):
        raise StoreUnusable(f"there is a store in {store} already: move it away, or restore to another place")
    if spool is not None and ((spool / "owner").exists() or _holds_something(spool / "kept")):
        raise StoreUnusable(f"there is a spool in {spool} already: move it away, or restore to another place")


def _holds_something(directory: Path) -> bool:
    return directory.exists() and (not directory.is_dir() or any(directory.iterdir()))


def _note(store: Path, spool: Path | None, owner: str | None = None) -> None:
    """Note durably what an interrupted restoring may have written to: the files of a spool, and whose it then is."""
    note = {"spool": None if spool is None else str(spool), "owner": owner}
    write_durably(store / RESTORING, json.dumps(note).encode())


def _noted(store: Path) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((store / RESTORING).read_text())
    except FileNotFoundError:
        return None
    return note


def _noted_spool(store: Path) -> Path | None:
    """Return the spool that an interrupted restoring wrote to, if it is still there."""
    place = (_noted(store) or {}).get("spool")
    return Path(place) if place is not None and Path(place).is_dir() else None


def _clear(store: Path) -> None:
    """Remove what an interrupted restoring left; while its note is there, nobody else can have written there."""
    if not (staged := store / _STAGED).exists():
        return
    if strange := [name for name in os.listdir(staged) if not _MADE.fullmatch(name)]:
        raise StoreUnusable(f"{staged / strange[0]} is in the way, and no restoring made it: move it away")
    if (note := _noted(store)) is not None:
        if (spool := _noted_spool(store)) is not None:
            _clear_spool(spool, note.get("owner"))
        for file in store.glob("*.jsonl"):
            file.unlink()
        fsync_directory(store)
    for file in sorted(staged.iterdir(), key=lambda file: file == store / RESTORING):  # the note last
        file.unlink()
    staged.rmdir()
    fsync_directory(store)


def _clear_spool(spool: Path, owner: str | None) -> None:
    """Somebody may have taken it since: then its files are not ours to remove."""
    mark, kept = spool / "owner", spool / "kept"
    if mark.exists() and mark.read_text().strip() != owner:
        return
    if kept.exists():
        shutil.rmtree(kept)
    mark.unlink(missing_ok=True)


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


async def _opened(staged: Path, backup: Path) -> tuple[tuple[str, ...], str | None]:
    """Return the keys that seal something in what was unpacked, and the id of its spool; raises BackupUnusable."""
    store = JsonFileStore(staged, reserve=0)
    try:
        await store.open()
        own = await store.get(SPOOLS, "", "own")
        return tuple(sorted(await count_keys(store))), None if own is None else str(own.data["id"])
    except ConsigneeError as error:
        raise BackupUnusable(f"the store in {backup} does not open: {error}; nothing was restored") from error
    finally:
        await store.close()
