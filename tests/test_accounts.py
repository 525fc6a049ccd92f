import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from consignee.accounts import Accounts, KeyInfo, open_accounts
from consignee.errors import InvalidRequest, NotFound, StoreError, StoreFull, StoreUnusable
from consignee.secret import Sealer, Secret
from consignee.settings import FixedAccount
from consignee.store import Document, Store
from consignee.store.memory import MemoryStore
from racing import RacyStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEALER = Sealer(bytes(range(32)))


async def opened(store: Store, **options: Any) -> Accounts:
    """Return the accounts of a store that is sealed with SEALER."""
    return await open_accounts(store, sealer=SEALER, **options)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


async def test_a_created_key_authenticates_its_account(store: MemoryStore) -> None:
    accounts = await opened(store)
    acme, other = await accounts.create_key("acme"), await accounts.create_key("other")
    assert await accounts.authenticate(acme) == "acme"
    assert await accounts.authenticate(other) == "other"


async def test_a_key_says_its_id_and_is_not_kept(store: MemoryStore) -> None:
    """What is stored holds neither the key nor its random part: a thief of the store can't use it."""
    accounts = await opened(store, now=lambda: NOON, random=bytes)
    key = await accounts.create_key("acme")
    assert key == "csg_00000000_" + "A" * 43
    (document,) = await store.list("api_keys", "")
    assert document.id == "00000000"
    assert document.data.keys() == {"account", "hmac", "created_at"}
    assert "A" * 43 not in str(document)


async def test_keys_are_listed_without_their_hash(store: MemoryStore) -> None:
    accounts = await opened(store, now=lambda: NOON, random=bytes)
    await accounts.create_key("acme")
    assert await accounts.list_keys() == [KeyInfo(id="00000000", account="acme", created_at="2026-03-01T12:00:00Z")]


async def test_a_key_is_known_to_others_on_the_same_store_at_once(store: MemoryStore) -> None:
    key = await (await opened(store)).create_key("acme")
    assert await (await opened(store)).authenticate(key) == "acme"


async def test_a_revoked_key_is_unknown_at_once(store: MemoryStore) -> None:
    accounts = await opened(store)
    key, kept = await accounts.create_key("acme"), await accounts.create_key("acme")
    await accounts.revoke_key(key.split("_")[1])
    assert await accounts.authenticate(key) is None
    assert await accounts.authenticate(kept) == "acme"
    assert [info.id for info in await accounts.list_keys()] == [kept.split("_")[1]]


@pytest.mark.parametrize("id_", ["00000000", "", "../x", "é\0"])
async def test_revoking_what_is_not_there_says_so(store: MemoryStore, id_: str) -> None:
    with pytest.raises(NotFound):
        await (await opened(store)).revoke_key(id_)


async def test_a_key_revoked_meanwhile_is_not_found() -> None:
    """Two revoke the same key together: the slower one learns that it is gone, not of a conflict."""

    class Slow(MemoryStore):
        async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
            await super().remove(kind, account, id, replaces=replaces)
            await super().remove(kind, account, id, replaces=replaces)

    slow = Slow()
    await slow.open()
    accounts = await opened(slow)
    key = await accounts.create_key("acme")
    with pytest.raises(NotFound):
        await accounts.revoke_key(key.split("_")[1])


async def test_an_id_that_is_taken_is_not_given_again(store: MemoryStore) -> None:
    ids = iter([bytes(4), bytes(4), b"\1" * 4])
    accounts = await opened(store, random=lambda size: next(ids) if size == 4 else bytes(size))
    keys = [await accounts.create_key(account) for account in ("acme", "other")]
    assert [await accounts.authenticate(key) for key in keys] == ["acme", "other"]


async def test_a_wrong_key_with_a_known_id_is_unknown(store: MemoryStore) -> None:
    accounts = await opened(store)
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
    accounts = await opened(store, fixed=[FixedAccount("demo", Secret("demo"))], random=bytes)
    await accounts.create_key("acme")
    assert await accounts.authenticate(key) is None


async def test_fixed_accounts_authenticate_beside_the_stored_ones(store: MemoryStore) -> None:
    fixed = [FixedAccount("demo", Secret("demo")), FixedAccount("second", Secret("another"))]
    accounts = await opened(store, fixed=fixed)
    key = await accounts.create_key("acme")
    found = [await accounts.authenticate(each) for each in ("demo", "another", key)]
    assert found == ["demo", "second", "acme"]


async def test_an_empty_fixed_key_opens_nothing(store: MemoryStore) -> None:
    accounts = await opened(store, fixed=[FixedAccount("demo", Secret(""))])
    assert await accounts.authenticate("") is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "é", "a\n", "٣"])
async def test_an_account_name_must_be_plain(store: MemoryStore, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await (await opened(store)).create_key(name)
    assert caught.value.errors.keys() == {"account"}
    assert await store.count("api_keys", "") == 0


@pytest.mark.parametrize("name", ["a", "Acme-1.2_3", "x" * 64])
async def test_a_plain_account_name_is_accepted(store: MemoryStore, name: str) -> None:
    accounts = await opened(store)
    assert await accounts.authenticate(await accounts.create_key(name)) == name


def plain(key: str) -> dict[str, str]:
    """Return a key's document as version 0.1.0 stored it."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"account": "acme", "hash": digest, "created_at": "2026-01-01T00:00:00Z"}


OLD_KEYS = [f"csg_0000000{number}_" + "B" * 43 for number in range(5)]


async def test_what_is_stored_of_a_key_is_worth_nothing_without_the_pepper(store: MemoryStore) -> None:
    """A thief of the store can't even try keys: the pepper is sealed, and the same key is hashed otherwise elsewhere."""
    other = MemoryStore()
    await other.open()
    keys, hashes = [], []
    for each in (store, other):
        random = iter([os.urandom(32), bytes(4), bytes(32)])
        keys.append(await (await opened(each, random=lambda _, random=random: next(random))).create_key("acme"))
        (document,) = await each.list("api_keys", "")
        hashes.append(document.data["hmac"])
    digest = hashlib.sha256(keys[0].encode()).hexdigest()
    assert keys[0] == keys[1]
    assert len({digest, *hashes}) == 3
    (pepper,) = await store.list("peppers", "")
    assert pepper.data["secrets"]["pepper"].startswith(SEALER.key_id)


async def test_keys_stored_without_a_pepper_get_it_and_go_on_working(store: MemoryStore) -> None:
    for key in OLD_KEYS:
        await store.save("api_keys", "", key.split("_")[1], plain(key))
    accounts = await opened(store)
    assert [await accounts.authenticate(key) for key in OLD_KEYS] == ["acme"] * 5
    for document in await store.list("api_keys", ""):
        assert document.data.keys() == {"account", "hmac", "created_at"}
        assert plain(OLD_KEYS[0])["hash"] not in str(document)
    await accounts.revoke_key("00000000")
    assert [await (await opened(store)).authenticate(key) for key in OLD_KEYS] == [None, *["acme"] * 4]


@pytest.mark.parametrize("saves", range(len(OLD_KEYS) + 1))
async def test_an_interrupted_change_to_peppered_keys_is_taken_up(saves: int) -> None:
    """Wherever the disk fails on the way, all keys work after the next opening."""

    class Failing(MemoryStore):
        left = len(OLD_KEYS) + 10

        async def save(self, *arguments: Any, **options: Any) -> Document:
            if self.left == 0:
                raise StoreError("the disk failed")
            self.left -= 1
            return await super().save(*arguments, **options)

    store = Failing()
    await store.open()
    for key in OLD_KEYS:
        await store.save("api_keys", "", key.split("_")[1], plain(key))
    store.left = saves
    with pytest.raises(StoreError):
        await opened(store)
    store.left = 100
    accounts = await opened(store)
    assert [await accounts.authenticate(key) for key in OLD_KEYS] == ["acme"] * 5


async def test_a_store_whose_pepper_is_gone_is_refused(store: MemoryStore) -> None:
    """A new one in its place would make every key unknown, and nobody would know why."""
    await (await opened(store)).create_key("acme")
    await store.remove("peppers", "", "api_keys", replaces=1)
    with pytest.raises(StoreUnusable, match=r"put the file peppers\.jsonl back"):
        await opened(store)
    assert await store.list("peppers", "") == []


async def test_a_pepper_that_another_key_sealed_is_refused(store: MemoryStore) -> None:
    await opened(store)
    with pytest.raises(StoreError, match="sealed with key"):
        await open_accounts(store, sealer=Sealer(bytes(32)))


async def test_a_pepper_says_nothing_of_itself(store: MemoryStore) -> None:
    accounts = await opened(store, random=bytes)
    assert "0" * 8 not in repr(vars(accounts)["_pepper"]) + repr(vars(vars(accounts)["_pepper"]))


async def test_an_upgrade_needs_room() -> None:
    """It is said so, and with room it starts."""

    async def full() -> None:
        raise StoreFull("the store's disk is full")

    store = RacyStore()
    await store.open()
    store.first = full
    with pytest.raises(StoreUnusable, match=r"no room on the disk .*: make room, then start again"):
        await opened(store)
    await opened(store)


async def test_a_key_that_was_right_is_known_until_it_is_revoked(store: MemoryStore) -> None:
    """Also to whoever is asked just then; and making another key forgets nobody."""
    accounts = await opened(store)
    key, other = await accounts.create_key("acme"), await accounts.create_key("other")
    for _ in range(3):
        assert await accounts.authenticate(key) == "acme"
        assert await accounts.authenticate(other) == "other"
        assert await accounts.authenticate(key[:-1] + ("A" if key[-1] != "A" else "B")) is None
    await accounts.revoke_key(key.split("_")[1])
    assert await accounts.authenticate(key) is None
    assert await accounts.authenticate(other) == "other"


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_kept(store: MemoryStore) -> None:
    """Whoever began to look it up before that may still have an answer from before; whoever asks later has not."""
    accounts = await opened(store)
    key = await accounts.create_key("acme")
    look_up = accounts._find

    async def meanwhile(api_key: str) -> str | None:
        found = await look_up(api_key)
        accounts._find = look_up  # type: ignore[method-assign]
        await accounts.revoke_key(key.split("_")[1])
        assert await accounts.authenticate("another") is None
        return found

    accounts._find = meanwhile  # type: ignore[method-assign]
    assert await accounts.authenticate(key) == "acme"
    assert await accounts.authenticate(key) is None


async def test_no_known_key_opens_a_store_that_is_closed() -> None:
    store = MemoryStore()
    await store.open()
    accounts = await opened(store)
    key = await accounts.create_key("acme")
    assert await accounts.authenticate(key) == "acme"
    await store.close()
    with pytest.raises(StoreError):
        await accounts.authenticate(key)
