"""Collections on a store: their secrets, made once, kept sealed."""

from typing import Any, Final

import pytest

from consignee.collection import Collection
from consignee.collections import KIND, Collections
from consignee.egress import Policy
from consignee.errors import InvalidRequest
from consignee.secret import Sealer, Secret
from consignee.store.memory import MemoryStore

FIELDS: Final[dict[str, Any]] = {"name": "Reports", "destination_ids": []}
WEBHOOK: Final = {"notification_webhook": "https://hooks.example.com/"}
NAME: Final = "notification_webhook_secret"
MADE: Final = Secret("whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
OTHERS: Final = "whsec_" + "CQkJ" * 10


@pytest.fixture
async def store() -> MemoryStore:
    """An empty store, open."""
    store = MemoryStore()
    await store.open()
    return store


@pytest.fixture
def collections(store: MemoryStore) -> Collections:
    """Collections whose randomness is sevens."""
    return Collections(store, limit=9, sealer=Sealer(bytes(32)), policy=Policy(), random=lambda size: b"\x07" * size)


async def changed(collections: Collections, before: Collection, **values: Any) -> Collection:
    """Return the collection after an update, and see that it is read back the same."""
    after = await collections.update("ann", before.id, values)
    read = await collections.get("ann", before.id)
    assert (read.secrets, read.notification_webhook) == (after.secrets, after.notification_webhook)
    assert not read.generated
    return after


async def test_a_webhook_without_a_secret_gets_one(collections: Collections) -> None:
    made = await collections.create("ann", {**FIELDS, **WEBHOOK})
    assert (made.generated, made.secrets) == (True, {NAME: MADE})
    read = await collections.get("ann", made.id)
    assert (read.generated, read.secrets) == (False, {NAME: MADE})
    assert [one.generated for one in await collections.list("ann")] == [False]


async def test_a_webhook_with_a_secret_gets_no_other(collections: Collections) -> None:
    made = await collections.create("ann", {**FIELDS, **WEBHOOK, NAME: OTHERS})
    assert (made.generated, made.secrets) == (False, {NAME: Secret(OTHERS)})


async def test_without_a_webhook_there_is_no_secret_until_there_is_one(collections: Collections) -> None:
    made = await collections.create("ann", FIELDS)
    assert (made.generated, made.secrets) == (False, {})
    same = await changed(collections, made, name="Another")
    assert (same.generated, same.secrets) == (False, {})
    told = await changed(collections, made, **WEBHOOK)
    assert (told.generated, told.secrets) == (True, {NAME: MADE})


async def test_a_secret_outlives_everything_but_another(collections: Collections) -> None:
    """Also a time without a webhook: its receiver goes on with the one that it has."""
    made = await collections.create("ann", {**FIELDS, **WEBHOOK, "manifest": True})
    renamed = await changed(collections, made, name="Another")
    assert (renamed.secrets, renamed.manifest) == ({NAME: MADE}, True)
    assert (await changed(collections, made, **{NAME: ""})).secrets == {NAME: MADE}
    silent = await changed(collections, made, notification_webhook=None)
    assert (silent.notification_webhook, silent.secrets) == (None, {NAME: MADE})
    again = await changed(collections, made, **WEBHOOK)
    assert (again.generated, again.secrets) == (False, {NAME: MADE})
    rolled = await changed(collections, made, **{NAME: OTHERS})
    assert (rolled.generated, rolled.secrets) == (False, {NAME: Secret(OTHERS)})


async def test_the_store_sees_no_secret(collections: Collections, store: MemoryStore) -> None:
    made = await collections.create("ann", {**FIELDS, **WEBHOOK})
    await collections.update("ann", made.id, {"name": "Another"})
    document = await store.get(KIND, "ann", made.id)
    assert document is not None
    assert document.data["secrets"].keys() == {NAME}
    assert MADE.reveal()[6:] not in str(document.data)


async def test_what_is_refused_changes_nothing(collections: Collections) -> None:
    made = await collections.create("ann", FIELDS)
    for wrong in ({"notification_webhook": "https://10.0.0.1/"}, {NAME: "whsec_short"}, {"manifest": "maybe"}):
        with pytest.raises(InvalidRequest):
            await collections.update("ann", made.id, {**WEBHOOK, **wrong})
    assert await collections.get("ann", made.id) == made


async def test_uses_are_counted_without_opening_secrets(collections: Collections, store: MemoryStore) -> None:
    """A secret that was altered is no reason not to show the account's destinations."""
    made = await collections.create("ann", {**FIELDS, **WEBHOOK})
    data = {"destination_ids": ["0123ABCD"], "secrets": {NAME: "altered"}}
    await store.save(KIND, "ann", made.id, data, replaces=made.revision)
    assert await collections.uses("ann") == {"0123ABCD": 1}
