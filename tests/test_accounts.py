from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from consignee.accounts import Accounts, KeyInfo
from consignee.errors import Conflict, InvalidRequest, NotFound
from consignee.secret import Secret
from consignee.settings import FixedAccount
from consignee.store.memory import MemoryStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


async def test_a_created_key_authenticates_its_account(store: MemoryStore) -> None:
    accounts = Accounts(store)
    acme, other = await accounts.create_key("acme"), await accounts.create_key("other")
    assert await accounts.authenticate(acme) == "acme"
    assert await accounts.authenticate(other) == "other"


async def test_a_key_says_its_id_and_is_not_kept(store: MemoryStore) -> None:
    """What is stored holds neither the key nor its random part: a thief of the store can't use it."""
    accounts = Accounts(store, now=lambda: NOON, random=bytes)
    key = await accounts.create_key("acme")
    assert key == "csg_00000000_" + "A" * 43
    (document,) = await store.list("api_keys", "")
    assert document.id == "00000000"
    assert document.data.keys() == {"account", "hash", "created_at"}
    assert "A" * 43 not in str(document)


async def test_keys_are_listed_without_their_hash(store: MemoryStore) -> None:
    accounts = Accounts(store, now=lambda: NOON, random=bytes)
    await accounts.create_key("acme")
    assert await accounts.list_keys() == [KeyInfo(id="00000000", account="acme", created_at="2026-03-01T12:00:00Z")]


async def test_a_key_is_known_to_others_on_the_same_store_at_once(store: MemoryStore) -> None:
    key = await Accounts(store).create_key("acme")
    assert await Accounts(store).authenticate(key) == "acme"


async def test_a_revoked_key_is_unknown_at_once(store: MemoryStore) -> None:
    accounts = Accounts(store)
    key, kept = await accounts.create_key("acme"), await accounts.create_key("acme")
    await accounts.revoke_key(key.split("_")[1])
    assert await accounts.authenticate(key) is None
    assert await accounts.authenticate(kept) == "acme"
    assert [info.id for info in await accounts.list_keys()] == [kept.split("_")[1]]


@pytest.mark.parametrize("id_", ["00000000", "", "../x", "é\0"])
async def test_revoking_what_is_not_there_says_so(store: MemoryStore, id_: str) -> None:
    with pytest.raises(NotFound):
        await Accounts(store).revoke_key(id_)


async def test_a_key_revoked_meanwhile_is_not_found() -> None:
    """Two revoke the same key together: the slower one learns that it is gone, not of a conflict."""

    class Slow(MemoryStore):
        async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
            await super().remove(kind, account, id, replaces=replaces)
            await super().remove(kind, account, id, replaces=replaces)

    slow = Slow()
    await slow.open()
    accounts = Accounts(slow)
    key = await accounts.create_key("acme")
    with pytest.raises(NotFound):
        await accounts.revoke_key(key.split("_")[1])


async def test_an_id_that_is_taken_is_never_overwritten(store: MemoryStore) -> None:
    accounts = Accounts(store, random=bytes)
    key = await accounts.create_key("acme")
    with pytest.raises(Conflict):
        await accounts.create_key("other")
    assert await accounts.authenticate(key) == "acme"


async def test_a_wrong_key_with_a_known_id_is_unknown(store: MemoryStore) -> None:
    accounts = Accounts(store)
    key = await accounts.create_key("acme")
    changed = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert await accounts.authenticate(changed) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "csg_",
        "csg_00000000_" + "B" * 43,
        "csg_00000000_" + "A" * 43 + "\n",
        "CSG_00000000_" + "A" * 43,
        "csg_00000000_" + "Á" * 43,
        "csg_" + "\N{ARABIC-INDIC DIGIT ZERO}" * 8 + "_" + "A" * 43,
        "\ud800",
        "dem",
        "demo ",
        pytest.param("x" * 10_000_000, id="very long"),
    ],
)
async def test_anything_else_is_simply_unknown(store: MemoryStore, key: str) -> None:
    accounts = Accounts(store, fixed=[FixedAccount("demo", Secret("demo"))], random=bytes)
    await accounts.create_key("acme")
    assert await accounts.authenticate(key) is None


async def test_fixed_accounts_authenticate_beside_the_stored_ones(store: MemoryStore) -> None:
    fixed = [FixedAccount("demo", Secret("demo")), FixedAccount("second", Secret("another"))]
    accounts = Accounts(store, fixed=fixed)
    key = await accounts.create_key("acme")
    found = [await accounts.authenticate(each) for each in ("demo", "another", key)]
    assert found == ["demo", "second", "acme"]


async def test_an_empty_fixed_key_opens_nothing(store: MemoryStore) -> None:
    assert await Accounts(store, fixed=[FixedAccount("demo", Secret(""))]).authenticate("") is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "é", "a\n", "٣"])
async def test_an_account_name_must_be_plain(store: MemoryStore, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Accounts(store).create_key(name)
    assert caught.value.errors.keys() == {"account"}
    assert await store.count("api_keys", "") == 0


@pytest.mark.parametrize("name", ["a", "Acme-1.2_3", "x" * 64])
async def test_a_plain_account_name_is_accepted(store: MemoryStore, name: str) -> None:
    accounts = Accounts(store)
    assert await accounts.authenticate(await accounts.create_key(name)) == name
