"""consignee backup: writes a backup, through the running server if there is one."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

import aiohttp

from consignee import __version__
from consignee.backups.archive import PIECE
from consignee.backups.snapshot import backed_up
from consignee.backups.verifying import Manifest, check_seal, read_manifest
from consignee.commands.output import say
from consignee.commands.progress import size
from consignee.commands.reaching import running_server
from consignee.delivery.spool import spool_directory
from consignee.errors import ConsigneeError, SettingsError
from consignee.opening import open_store, require_store
from consignee.settings import Settings, load_settings
from consignee.store.disk import fsync_directory, write_all

_KEY: Final = (
    "The sealing key is not in it. Keep a copy of the key elsewhere: without it, what is sealed can't be restored."
)
_OTHERWISE: Final = (
    "the store is a database: back it up and restore it by its own means, such as pg_dump and pg_restore or an archive of its"
    " log; keep a copy of the sealing key elsewhere, and the staging bucket, which holds the files, for as long as the backup"
)
_BROKEN_OFF: Final = "the service broke off the backup, of which nothing was kept; its log says why"


def run(arguments: argparse.Namespace) -> int:
    """Write the backup, and say what is in it; status 1 if files are missing in it."""
    settings = load_settings(arguments.config)
    require_files(settings)
    path: Path = arguments.file
    with new_file(path) as fd:
        asyncio.run(_write(settings, fd, files=not arguments.without_files))
    manifest = read_manifest(path)
    count = path.stat().st_size
    say(
        arguments,
        {"file": str(path), "size": count, **told(manifest)},
        [f"{path}: {size(count)}; {manifest.content}", _KEY, *([manifest.lack] if manifest.lack else [])],
    )
    return int(bool(manifest.missing))


def told(manifest: Manifest) -> dict[str, Any]:
    """Return what programs are told of a backup."""
    about = {"created_at": manifest.created_at, "consignee": manifest.version, "files": manifest.files}
    return {**about, "members": len(manifest.members), "missing": [*manifest.missing]}


def require_files(settings: Settings) -> None:
    """Raise SettingsError if the store is a database, of which this makes and restores no backup."""
    if settings.store.url:
        raise SettingsError(_OTHERWISE)


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Yield a descriptor to write to; the file takes its name, durably, only if what was written is a whole backup."""
    _require_absent(path)
    fd, name = mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    new = Path(name)
    try:
        os.fchmod(fd, 0o600)
        yield fd
        os.fsync(fd)
        check_seal(new)
        _require_absent(path)
        new.rename(path)
        fsync_directory(path.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def _require_absent(path: Path) -> None:
    if path.exists():
        raise SettingsError(f"{path} is there already, and a backup never replaces a file")


async def _write(settings: Settings, fd: int, *, files: bool) -> None:
    async with pieces_of(settings, files=files) as pieces:
        async for piece in pieces:
            write_all(fd, piece)


@asynccontextmanager
async def pieces_of(settings: Settings, *, files: bool) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the pieces of a backup, from the running server if there is one."""
    require_store(settings)
    async with running_server(settings.store) as session:
        if session is not None:
            yield _received(session, files=files)
            return
    spool = spool_directory(settings) if files else None
    async with AsyncExitStack() as stack:
        async with open_store(settings) as store:  # not for longer: a service that starts meanwhile must get it
            pieces = await stack.enter_async_context(
                backed_up(store, spool=spool, version=__version__, now=datetime.now(UTC))
            )
        yield _each(pieces)


async def _received(session: aiohttp.ClientSession, *, files: bool) -> AsyncIterator[bytes]:
    try:
        async with session.get("http://control/backup", params={"files": str(int(files))}) as response:
            if response.status != 200:
                raise ConsigneeError(_BROKEN_OFF)
            async for piece in response.content.iter_chunked(PIECE):
                yield piece
    except aiohttp.ClientError:
        raise ConsigneeError(_BROKEN_OFF) from None


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
