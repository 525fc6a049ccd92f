"""The keys that seal secrets at rest, of an open store: found, or made on the first start; never others than its own."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from consignee.errors import Conflict, StoreFull, StoreUnusable
from consignee.key_ring import KeyRing
from consignee.resealing import count_keys
from consignee.sealed import SEALED
from consignee.secret import KEY_BYTES, Sealer, key_id_of
from consignee.settings import SecretsSettings
from consignee.store import Store

__all__ = ["KIND", "SEALED", "load_sealer", "register"]

KIND: Final = "sealing_keys"
"""A document for the id of each key that something may be sealed with: it is there before anything is."""

_WHENCE: Final = {False: "back, from your backup", True: "there that the other processes on this store have"}

log = logging.getLogger(__name__)


async def load_sealer(
    settings: SecretsSettings, store: Store, *, random: Callable[[int], bytes] = os.urandom
) -> Sealer:
    """Return the sealer of an open store, making its key if there is neither key nor sealed document yet.

    Raises StoreUnusable if a key is missing that something in the store is sealed with; SettingsError if what is there is not
    a key. A new first key that the disk has no room to note does not seal yet: the next one does that is noted.
    """
    async with store.alone("sealing key"):  # two that start for the first time would make two
        return await _loaded(settings, store, random)


async def _loaded(settings: SecretsSettings, store: Store, random: Callable[[int], bytes]) -> Sealer:
    ring = KeyRing(settings)
    used = [document.id for document in await store.list(KIND, "")]
    keys = ring.read()
    if keys is None:
        keys = _make(ring, store, used, random)
    sealer = Sealer(keys[0], older=keys[1:], random=random)
    await _require(sealer, ring, store, used)
    try:
        await register(store, sealer.key_id)
    except StoreFull:
        sealer.take(_noted_first(keys, used))
        log.error("there is no room to note key %s: until a restart, %s seals", key_id_of(keys[0]), sealer.key_id)
    return sealer


def _noted_first(keys: Sequence[bytes], used: list[str]) -> list[bytes]:
    ordered = sorted(keys, key=lambda key: key_id_of(key) not in used)
    if key_id_of(ordered[0]) not in used:
        raise StoreUnusable("there is no room on the disk to note the key that seals: make room, then start again")
    return ordered


async def register(store: Store, key_id: str) -> None:
    """Note durably that something may be sealed with that key; raises StoreError."""
    if await store.get(KIND, "", key_id) is None:
        with suppress(Conflict):  # another process did
            await store.save(KIND, "", key_id, {})


async def _require(sealer: Sealer, ring: KeyRing, store: Store, used: list[str]) -> None:
    if not used and _is_new(store):
        return
    missing = [key_id for key_id in used if key_id not in sealer.key_ids]
    if len(missing) == len(used):
        raise StoreUnusable(
            f"the store is sealed with key {_names(used)}, but {ring.source} holds key {_names(sealer.key_ids)}: "
            "give the key that belongs to this store"
        )
    counts = await count_keys(store) if missing else {}
    if needed := [key_id for key_id in missing if counts.get(key_id)]:
        raise StoreUnusable(
            f"{sum(counts[key_id] for key_id in needed)} documents are still sealed with key {_names(needed, 'and')}, "
            f"which {ring.source} does not hold: put it back, behind the first one; without it they can't be read"
        )


def _make(ring: KeyRing, store: Store, used: list[str], random: Callable[[int], bytes]) -> tuple[bytes, ...]:
    if used or not _is_new(store):
        raise StoreUnusable(
            f"the store holds secrets sealed with key {_names(used)}, but {ring.source} does not exist: "
            f"put the key {_WHENCE[store.shared]}; without it the secrets can't be read"
        )
    keys = (new_key(random, used),)
    ring.write(keys)
    return keys


def new_key(random: Callable[[int], bytes], taken: Iterable[str]) -> bytes:
    """Return a key whose id is none of those."""
    while True:
        key = random(KEY_BYTES)
        if key_id_of(key) not in taken:
            return key


def _is_new(store: Store) -> bool:
    return SEALED.keys().isdisjoint(store.kinds())


def _names(ids: Iterable[str], word: str = "or") -> str:
    return f" {word} ".join(ids) or "(unknown)"
