"""A store and a spool to back up, without a service."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consignee.backups.snapshot import backed_up
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.delivery.spool import Spool
from consignee.settings import SecretsSettings, Settings, StoreSettings
from consignee.store.json_file import JsonFileStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OWNER = "ab" * 16
FILES = {"a.txt": b"a" * 1000, "empty.txt": b"", "b.bin": bytes(range(256)) * 5}


def settings_of(directory: Path) -> Settings:
    """Return settings whose store, with the spool in it, and key are in `directory`."""
    return replace(
        Settings(),
        store=StoreSettings(path=str(directory / "store")),
        secrets=SecretsSettings(key_file=str(directory / "secret.key")),
    )


async def spooled(spool: Spool, files: dict[str, bytes]) -> dict[str, Any]:
    """Return what a result set's document says of files that are in the spool by then."""

    async def chunks(content: bytes) -> Any:
        yield content

    async with spool.intake() as intake:
        for name, content in files.items():
            await intake.add(name, chunks(content))
        return {"token": await intake.keep(), "files": [file.to_data() for file in intake.files]}


async def fill(directory: Path) -> dict[str, bytes]:
    """Fill a store, sealed with two of three keys, and a spool with a result set, and return the files of both by path."""
    store, spool = JsonFileStore(directory / "store", now=lambda: NOON), Spool(directory / "store" / "spool")
    await store.open()
    await spool.open()
    for key_id in ("0f0f0f0f", "1a2b3c4d", "5e6f7a8b"):
        await store.save("sealing_keys", "", key_id, {})
    await store.save("spools", "", "own", {"id": OWNER})
    await store.save("collections", "ann", "AAAA0000", {"secrets": {"url": "5e6f7a8b:AAAA"}})
    for number in range(20):
        await store.save("destinations", "ann", f"{number:08X}", {"n": number, "secrets": {"text": "1a2b3c4d:AAAA"}})
    await store.save(RESULT_SETS, "ann", "AAAA0000.1", await spooled(spool, FILES))
    gone = await spooled(spool, {"gone.txt": b"gone"})
    await store.save(RESULT_SETS, "ann", "AAAA0000.2", gone)
    await store.remove(RESULT_SETS, "ann", "AAAA0000.2", replaces=1)
    await spool.remove(gone["token"])
    await spool.close()
    await store.close()
    return content_of(directory / "store")


def content_of(store: Path) -> dict[str, bytes]:
    """Return the documents and the kept files below the directory of a store, by path."""
    found = [*store.glob("*.jsonl"), *(path for path in store.glob("spool/kept/*/*") if path.is_file())]
    return {str(path.relative_to(store)): path.read_bytes() for path in found}


async def back_up(directory: Path, backup: Path, *, files: bool = True) -> Path:
    """Write a backup of a store that nobody has open, and return its path."""
    async with AsyncExitStack() as stack:
        store = JsonFileStore(directory / "store")
        await store.open()
        stack.push_async_callback(store.close)
        spool = directory / "store" / "spool" if files else None
        pieces = await stack.enter_async_context(backed_up(store, spool=spool, version="1.2.3", now=NOON))
        backup.write_bytes(b"".join(pieces))
    return backup


def filled_and_backed_up(directory: Path, backup: Path) -> dict[str, bytes]:
    """Do both, and return the files by path."""

    async def both() -> dict[str, bytes]:
        content = await fill(directory)
        await back_up(directory, backup)
        return content

    return asyncio.run(both())
