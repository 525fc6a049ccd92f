"""consignee backup: writes a backup, through the running server if there is one."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp

from consignee import __version__
from consignee.backups.archive import PIECE
from consignee.backups.snapshot import backed_up
from consignee.backups.verifying import check_seal, read_manifest
from consignee.commands.progress import size
from consignee.control import is_served, socket_path
from consignee.delivery.spool import spool_directory
from consignee.errors import ConsigneeError, SettingsError
from consignee.opening import open_store
from consignee.settings import Settings, load_settings
from consignee.store.disk import aside, make_directory, put_in_place, write_all

_PATIENT: Final = aiohttp.ClientTimeout(total=None)
_BROKEN_OFF: Final = "the service broke off the backup, of which nothing was kept; its log says why"


def run(arguments: argparse.Namespace) -> int:
    """Write the backup, and say what is in it."""
    settings = load_settings(arguments.config)
    path: Path = arguments.file
    with _new_file(path) as fd:
        asyncio.run(_write(settings, fd, files=not arguments.without_files))
    manifest = read_manifest(path)
    files = sum(name.startswith("spool/") for name in manifest.members)
    kept = f"{files} files of result sets" if manifest.files else "no files of result sets"
    print(f"{path}: {size(path.stat().st_size)}; the documents, and {kept}, as at {manifest.created_at}")
    print(
        "The sealing key is not in it. Keep a copy of the key elsewhere: without it, what is sealed can't be restored."
    )
    return 0


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """Yield a descriptor to write to; the file takes its name, durably, only if what was written is a whole backup."""
    _require_absent(path)
    new = aside(path)
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        yield fd
        os.fsync(fd)
        check_seal(new)
        _require_absent(path)
        put_in_place(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def _require_absent(path: Path) -> None:
    if path.exists():
        raise SettingsError(f"{path} is there already, and a backup never replaces a file")


async def _write(settings: Settings, fd: int, *, files: bool) -> None:
    async with _pieces(settings, files=files) as pieces:
        async for piece in pieces:
            write_all(fd, piece)


@asynccontextmanager
async def _pieces(settings: Settings, *, files: bool) -> AsyncIterator[AsyncIterator[bytes]]:
    make_directory(Path(settings.store.path))
    with socket_path(settings.store.path) as path:
        if is_served(path):
            connector = aiohttp.UnixConnector(path=path)
            async with aiohttp.ClientSession(connector=connector, timeout=_PATIENT, trust_env=False) as session:
                yield _received(session, files=files)
                return
    async with open_store(settings) as store:
        spool = spool_directory(settings) if files else None
        async with backed_up(store, spool=spool, version=__version__, now=datetime.now(UTC)) as pieces:
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
