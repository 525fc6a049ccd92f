"""What is remembered of a test file is enough to remove it, and shows no secret."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from consignee.errors import Conflict, RateLimited, StoreError
from consignee.leftovers import KIND, Leftover, Leftovers, to_data
from consignee.secret import Sealer, Secret
from consignee.store.memory import MemoryStore

SEALER = Sealer(bytes(range(32)))
LEFTOVER = Leftover(
    account="ann",
    id="0123456789abcdef",
    key="exports/consignee-test-0123456789abcdef.txt",
    type="s3",
    settings={"s3_bucket_name": "my-files"},
    secrets={"s3_access_key_id": Secret("AKIACANARY"), "s3_secret_access_key": Secret("hunter2")},
    found={"region": "eu-west-1"},
    created_at="2026-01-02T03:04:05.678Z",
)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """An open store."""
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


async def test_it_comes_back_as_it_was(store: MemoryStore) -> None:
    leftovers = Leftovers(store, sealer=SEALER)
    await leftovers.remember(LEFTOVER)
    assert await leftovers.get("ann", LEFTOVER.id) == LEFTOVER
    assert await leftovers.places() == [("ann", LEFTOVER.id)]
    await leftovers.forget("ann", LEFTOVER.id)
    await leftovers.forget("ann", LEFTOVER.id)
    assert await leftovers.get("ann", LEFTOVER.id) is None
    assert await leftovers.places() == []


def test_no_secret_is_in_the_document_nor_printed() -> None:
    shown = json.dumps(to_data(LEFTOVER, SEALER)) + repr(LEFTOVER) + repr(LEFTOVER.draft)
    assert "hunter2" not in shown
    assert "AKIACANARY" not in shown


def test_it_opens_the_bucket_of_the_test() -> None:
    draft = LEFTOVER.draft
    assert (draft.type, draft.settings, draft.secrets) == (LEFTOVER.type, LEFTOVER.settings, LEFTOVER.secrets)


@pytest.mark.parametrize(("account", "id_"), [("bob", LEFTOVER.id), ("ann", "fedcba9876543210")])
async def test_a_document_that_was_moved_does_not_open(store: MemoryStore, account: str, id_: str) -> None:
    """Another account's secrets can't be used by way of it."""
    await store.save(KIND, account, id_, to_data(LEFTOVER, SEALER))
    with pytest.raises(StoreError, match="belongs elsewhere"):
        await Leftovers(store, sealer=SEALER).get(account, id_)


async def test_an_account_may_have_only_so_many(store: MemoryStore) -> None:
    leftovers = Leftovers(store, sealer=SEALER, most=2)
    for number in range(2):
        await leftovers.remember(replace(LEFTOVER, id=str(number)))
    with pytest.raises(RateLimited) as limited:
        await leftovers.remember(LEFTOVER)
    assert limited.value.retry_after > 0
    await leftovers.remember(replace(LEFTOVER, account="bob"))
    await leftovers.forget("ann", "0")
    await leftovers.remember(LEFTOVER)


async def test_no_file_is_remembered_in_the_place_of_another(store: MemoryStore) -> None:
    leftovers = Leftovers(store, sealer=SEALER)
    await leftovers.remember(LEFTOVER)
    with pytest.raises(Conflict):
        await leftovers.remember(LEFTOVER)


async def test_what_a_closed_store_can_not_do_is_an_error(store: MemoryStore) -> None:
    leftovers = Leftovers(store, sealer=SEALER)
    await store.close()
    with pytest.raises(StoreError):
        await leftovers.remember(LEFTOVER)
    await store.open()
