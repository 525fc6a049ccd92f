"""A store that has everything in it that a copy could get wrong, and what of a store must be in its copy."""

from pathlib import Path
from typing import Any

from backups.filled import settings_of, spooled
from canaries import COMPATIBLE_SECRET, SEALING_KEY
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.delivery.spool import Spool
from consignee.sealed import seal_secrets
from consignee.secret import Sealer, Secret
from consignee.settings import Settings
from consignee.store import Store
from consignee.store.json_file import JsonFileStore

SEALER = Sealer(SEALING_KEY)
LARGE = bytes(range(256)) * 80_000
"""More than one piece of a staging bucket, and more than one section of digests."""
SMALL = {"a.txt": b"a" * 1000, "empty.txt": b""}
FILES = {**SMALL, "large.bin": LARGE}


async def fill(settings: Settings, *, jobs: bool = True, large: bool = True) -> None:
    """Fill a new store in a directory, and its spool."""
    directory = Path(settings.store.path)
    store, spool = JsonFileStore(directory), Spool(directory / "spool")
    await store.open()
    await spool.open()
    await store.save("spools", "", "own", {"id": await spool.claim(None)})
    await store.save("sealing_keys", "", SEALER.key_id, {})
    await _destinations(store)
    for number, files in enumerate([FILES if large else SMALL, {"b.txt": b"b"}, {"ü \u2028": b"c" * 20_000}], 1):
        await store.save(RESULT_SETS, "ann", f"AAAA0000.{number:010d}", await spooled(spool, files))
    if jobs:
        await _jobs(store)
    await spool.close()
    await store.close()


async def _destinations(store: Store) -> None:
    """Out of the order of their ids, some of them changed, and one removed."""
    for number in (5, 3, 9, 1, 7):
        id_ = f"{number:08X}"
        for revision in range(number):
            secrets = {"secret": Secret(f"{COMPATIBLE_SECRET}{number}")}
            sealed = seal_secrets(secrets, SEALER, account="ann", id=id_, revision=revision + 1)
            data = {"name": "ü\0\U0001f600", "at": revision, "float": 0.1, "none": None, "secrets": sealed}
            await store.save("destinations", "ann", id_, data, replaces=revision)
    await store.remove("destinations", "ann", "00000009", replaces=9)
    await store.save("destinations", "bob", "00000002", {"secrets": {}})


async def _jobs(store: Store) -> None:
    """At rest, waiting, due later, and one whose process was killed."""
    about: list[tuple[float | None, float | None]] = [(None, None), (0, None), (4_000_000_000.5, None), (0, 12.5)]
    for number, (due, lease) in enumerate(about):
        job = {"lane": f"lane {number % 2}", "attempt": number, "crashes": number % 2, "due": due, "lease": lease}
        await store.save("deliveries", "ann", f"AAAA0000.1.{number}", {"job": job, "data": {"n": number}})


async def content(store: Store, *, besides: tuple[str, ...] = ("spools",)) -> dict[str, list[Any]]:
    """Return all documents of an open store, in order, by kind and account."""
    return {
        f"{kind} {account}": [(one.id, one.revision, one.data) for one in await store.list(kind, account)]
        for kind in store.kinds()
        if kind not in besides
        for account in await store.accounts(kind)
    }


async def content_of(settings: Settings) -> dict[str, list[Any]]:
    """Return the same of the store in a directory."""
    store = JsonFileStore(Path(settings.store.path))
    await store.open()
    try:
        return await content(store)
    finally:
        await store.close()


def kept_in(spool: Path) -> dict[str, bytes]:
    """Return the files that are kept in a spool, with the digests beside them, by path."""
    return {str(path.relative_to(spool)): path.read_bytes() for path in spool.glob("kept/*/*")}


__all__ = ["FILES", "LARGE", "SEALER", "content", "content_of", "fill", "kept_in", "settings_of"]
