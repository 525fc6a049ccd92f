"""What customers and the service do while the key changes is done, and not refused for that."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consignee.collections import Collections
from consignee.egress import Policy
from consignee.errors import Conflict
from consignee.leftovers import Leftover, Leftovers
from consignee.rotation import Rotation
from consignee.sealing_key import load_sealer
from consignee.secret import Sealer, Secret
from consignee.settings import SecretsSettings
from racing import RacyStore

WEBHOOK = {"notification_webhook": "https://hooks.example.com/"}
LEFTOVER = Leftover(
    account="ann",
    id="0123456789abcdef",
    key="consignee-test.txt",
    type="s3",
    settings={},
    secrets={"s3_secret_access_key": Secret("hunter2")},
    found={},
    created_at="2026-01-02T03:04:05.678Z",
)


@dataclass
class House:
    """A store, the rotation of its keys, and who else works on it."""

    store: RacyStore
    sealer: Sealer
    rotation: Rotation
    collections: Collections
    leftovers: Leftovers

    async def left(self) -> int:
        """Return how much is sealed with other keys than the present one."""
        return sum(use.documents for use in await self.rotation.status() if not use.current)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One with a new key."""
    store = RacyStore()
    await store.open()
    path = tmp_path / "secret.key"
    path.write_bytes(base64.b64encode(bytes(32)))
    path.chmod(0o600)
    settings = SecretsSettings(key_file=str(path))
    sealer = await load_sealer(settings, store)
    rotation = Rotation(store, sealer=sealer, settings=settings)
    collections = Collections(store, limit=9, sealer=sealer, policy=Policy())
    yield House(store, sealer, rotation, collections, Leftovers(store, sealer=sealer))
    await store.close()


def fields(**more: Any) -> dict[str, Any]:
    """Return the fields of a collection."""
    return {"name": "Reports", "destination_ids": [], **WEBHOOK, **more}


async def test_a_collection_that_is_sealed_anew_meanwhile_is_changed_all_the_same(house: House) -> None:
    """And keeps its secret, which the new key seals."""
    made = await house.collections.create("ann", fields())
    house.store.first = house.rotation.rotate
    changed = await house.collections.update("ann", made.id, {"name": "Other"})
    assert changed.revision == 3
    kept = await house.collections.get("ann", made.id)
    assert (kept.name, kept.secrets, kept.revision) == ("Other", made.secrets, 3)
    assert await house.left() == 0


async def test_a_collection_that_somebody_changed_meanwhile_is_a_conflict(house: House) -> None:
    made = await house.collections.create("ann", fields())
    house.store.first = lambda: house.collections.update("ann", made.id, {"manifest": True})
    with pytest.raises(Conflict, match=r"changed meanwhile: read it again"):
        await house.collections.update("ann", made.id, {"name": "Other"})
    kept = await house.collections.get("ann", made.id)
    assert (kept.name, kept.manifest) == ("Reports", True)


async def test_what_was_being_saved_with_the_old_key_is_sealed_anew_too(house: House) -> None:
    """It was sealed before the key changed, and is saved after."""
    house.store.first = house.rotation.rotate
    made = await house.collections.create("ann", fields())
    assert await house.left() == 1
    await house.rotation.rotate()
    assert await house.left() == 0
    assert (await house.collections.get("ann", made.id)).secrets == made.secrets


async def test_a_test_file_is_forgotten_though_it_was_sealed_anew(house: House) -> None:
    """It has another revision than the one it was saved as."""
    await house.leftovers.remember(LEFTOVER)
    await house.rotation.rotate()
    assert await house.leftovers.get("ann", LEFTOVER.id) == LEFTOVER
    await house.leftovers.forget("ann", LEFTOVER.id)
    assert await house.leftovers.places() == []
