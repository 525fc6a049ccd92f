"""Rotation: a new key seals from now on, what older ones sealed is sealed anew, and a key that opens nothing is forgotten.

At every moment, also after an end in the middle, each key that something is sealed with is in the ring: a new key is durable,
and then registered, before anything is sealed with it; an old one goes only when nothing is.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consignee.errors import Conflict, NotFound
from consignee.key_ring import KeyRing
from consignee.resealing import Renew, Resealing, count_keys
from consignee.sealing_key import KIND, new_key, register
from consignee.secret import Sealer, key_id_of
from consignee.settings import SecretsSettings
from consignee.store import Store
from consignee.store.documents import discard, fetch

_SHARED: Final = (
    "Other processes may have this store open, and all of them need a new key before one of them seals with it. Make one, put it"
    " behind the present one in the key file of every process, and restart them all; then put it first everywhere, restart them"
    " all again, and run `consignee secrets rotate --resume`."
)


class Making(StrEnum):
    """When a rotation makes a new key: if all is sealed with the present one; always; never, only going on."""

    IF_DONE = "if_done"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class KeyUse:
    """A key's id, how many documents are sealed with it, whether it is the one that seals, and whether it is in the ring."""

    id: str
    documents: int
    current: bool
    present: bool


class Rotation:
    """The keys of an open store, and what they seal; one thing is done at a time. On a store that other processes have too, no
    key is made: they all need it before anything is sealed with it."""

    def __init__(
        self,
        store: Store,
        *,
        sealer: Sealer,
        settings: SecretsSettings,
        renewals: Mapping[str, Renew] | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._ring = KeyRing(settings)
        self._resealing = Resealing(store, sealer=sealer, renewals={} if renewals is None else renewals)
        self._random = random
        self._busy = asyncio.Lock()

    def stop(self) -> None:
        """Have a rotation under way end soon, with what is left left for another time."""
        self._resealing.stopped = True

    async def status(self) -> list[KeyUse]:
        """Return the keys: those in the ring in its order, then those that are only known of."""
        counts = await count_keys(self._store)
        known = [document.id for document in await self._store.list(KIND, "")]
        return [
            KeyUse(key_id, counts[key_id], key_id == self._sealer.key_id, key_id in self._sealer.key_ids)
            for key_id in dict.fromkeys((*self._sealer.key_ids, *known, *counts))
        ]

    async def rotate(self, making: Making = Making.IF_DONE) -> list[KeyUse]:
        """Make a new key if it is time for one, seal everything with the first key, and return the status then.

        Raises Conflict if it can't be done now, saying why; SettingsError if the key file can't be read or written; StoreError.
        """
        async with self._alone():
            keys = await self._keys()
            if making is Making.ALWAYS or (making is Making.IF_DONE and not await self._left(keys)):
                keys = await self._with_new_key(keys)
            await self._switch(keys)
            await self._resealing.run()
            return await self.status()

    async def forget(self, key_id: str) -> None:
        """Drop an old key from the ring; raises NotFound, Conflict if something is sealed with it, and what `rotate` raises."""
        async with self._alone():
            keys = await self._keys()
            await self._require_unused(key_id, keys)
            kept = [key for key in keys if key_id_of(key) != key_id]
            if len(kept) < len(keys):
                await self._drop(key_id, kept)
            await self._switch(kept)
            with suppress(NotFound):  # it never sealed anything here
                await discard(self._store, KIND, "", key_id, what="key")

    async def _drop(self, key_id: str, kept: Sequence[bytes]) -> None:
        if not self._ring.is_file:
            raise Conflict(f"The key {key_id} is in {self._ring.source}: take it out there, restart, then repeat this.")
        await asyncio.to_thread(self._ring.write, kept)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._busy.locked():
            raise Conflict("A rotation of the keys is under way: wait for its end.")
        async with self._busy:
            yield

    async def _keys(self) -> tuple[bytes, ...]:
        """Return the keys as they are in the ring now; raises Conflict if one is not that is needed."""
        keys = self._ring.read()
        if keys is None:
            raise Conflict(f"{self._ring.source} is gone: put it back, from your backup.")
        gone = set(self._sealer.key_ids) - set(map(key_id_of, keys))
        if lost := gone & (await count_keys(self._store)).keys():
            raise Conflict(
                f"{self._ring.source} lacks key {', '.join(sorted(lost))}, which is still needed: put it back."
            )
        return keys

    async def _left(self, keys: Sequence[bytes]) -> bool:
        """Whether something is sealed with another key of the ring than the first."""
        counts = await count_keys(self._store)
        return any(counts[key_id_of(key)] for key in keys[1:])

    async def _with_new_key(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        if self._store.shared:
            raise Conflict(_SHARED)
        if not self._ring.is_file:
            raise Conflict(
                f"The key is in {self._ring.source}, where only you can change it: put a new key there, before the present "
                "one and a space, restart, then repeat this. `consignee secrets rotate --resume` makes no key."
            )
        ring = (new_key(self._random, self._sealer.key_ids), *keys)
        await asyncio.to_thread(self._ring.write, ring)
        return ring

    async def _switch(self, keys: Sequence[bytes]) -> None:
        await register(self._store, key_id_of(keys[0]))
        self._sealer.take(keys)
        await self._settle()

    async def _settle(self) -> None:
        """Return when what was being saved, sealed with whatever key, can be seen: the store saves in order."""
        known = await fetch(self._store, KIND, "", self._sealer.key_id, what="key")
        await self._store.save(KIND, "", known.id, known.data, replaces=known.revision)

    async def _require_unused(self, key_id: str, keys: Sequence[bytes]) -> None:
        if key_id in (key_id_of(keys[0]), self._sealer.key_id):
            raise Conflict(f"The key {key_id} is the one that seals: rotate first.")
        await self._settle()
        used = (await count_keys(self._store))[key_id]
        if used:
            raise Conflict(f"{used} documents are still sealed with key {key_id}: rotate first.")
        ring = [key_id_of(key) for key in keys]
        if key_id not in ring and await self._store.get(KIND, "", key_id) is None:
            raise NotFound(f"There is no key {key_id}.")
