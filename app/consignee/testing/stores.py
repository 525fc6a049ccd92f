"""What every Store promises: inherit `StoreContract`, and give a fixture `store` that yields an open, empty store.

That what was saved survives a power cut is promised too, but no suite can see it from inside the process.
"""

import asyncio
from typing import Any

import pytest

from consignee.errors import Conflict, LimitReached, StoreError, StoreUnusable
from consignee.store import Store

KIND = "destinations"


class StoreContract:
    """Holds for every implementation."""

    async def test_a_new_store_is_empty_and_writable(self, store: Store) -> None:
        assert store.writable
        assert store.kinds() == []
        assert await store.get(KIND, "a", "1") is None
        assert await store.list(KIND, "a") == []
        assert await store.ids(KIND, "a") == []
        assert await store.count(KIND, "a") == 0
        assert await store.accounts(KIND) == []

    async def test_what_was_saved_is_read_back(self, store: Store) -> None:
        data = {"b": [1, None, {"x": 1.5}], "a": "ü\u2028\n\0\U0001f600", 'q"\\': True}
        saved = await store.save(KIND, 'a"\\ü', 'i"\\', data)
        assert (saved.account, saved.id, saved.revision, saved.data) == ('a"\\ü', 'i"\\', 1, data)
        assert await store.get(KIND, 'a"\\ü', 'i"\\') == saved
        assert await store.list(KIND, 'a"\\ü') == [saved]
        assert list(saved.data) == list(data), "the order of the keys is kept"

    async def test_the_callers_object_is_not_shared(self, store: Store) -> None:
        """Changing what was given, or what came back, changes nothing in the store."""
        data = {"list": [1]}
        saved = await store.save(KIND, "a", "1", data)
        data["list"].append(2)
        saved.data["list"].append(3)
        found = await store.get(KIND, "a", "1")
        assert found is not None
        assert found.data == {"list": [1]}

    async def test_a_list_can_be_of_those_whose_ids_begin_alike(self, store: Store) -> None:
        for id_ in ("ab.2", "a.1", "ab.1", "b.ab."):
            await store.save(KIND, "a", id_, {})
        assert [one.id for one in await store.list(KIND, "a", prefix="ab.")] == ["ab.2", "ab.1"]
        assert await store.list(KIND, "b", prefix="ab.") == []

    async def test_the_version_is_another_one_after_every_change(self, store: Store) -> None:
        """And that of another account, or of another kind, need not be."""
        seen = [store.version(KIND, "a")]
        for change in (
            store.save(KIND, "a", "1", {}),
            store.save(KIND, "a", "1", {"later": 1}, replaces=1),
            store.save(KIND, "a", "2", {}),
            store.remove(KIND, "a", "1", replaces=2),
            store.remove(KIND, "a", "2", replaces=1),
        ):
            await change
            seen.append(store.version(KIND, "a"))
        assert seen == sorted(set(seen))
        assert seen[-1] <= store.version(KIND, "a")

    async def test_the_revisions_are_those_of_the_list_in_its_order(self, store: Store) -> None:
        for id_ in ("2", "1"):
            await store.save(KIND, "a", id_, {})
        await store.save(KIND, "a", "2", {"later": 1}, replaces=1)
        await store.save(KIND, "b", "3", {})
        assert list((await store.revisions(KIND, "a")).items()) == [("2", 2), ("1", 1)]
        assert await store.revisions(KIND, "c") == {}
        assert [await store.revision(KIND, account, "1") for account in ("a", "c")] == [1, 0]

    async def test_the_ids_are_those_of_the_list_in_its_order(self, store: Store) -> None:
        """Also with a beginning, and after changes and removals; what a caller does to them changes nothing."""
        for id_ in ("ab.2", "a.1", "ab.1", "b.ab.", "ab.1.x"):
            await store.save(KIND, "a", id_, {})
        await store.save(KIND, "b", "ab.3", {})
        await store.save("api_keys", "a", "ab.4", {})
        await store.save(KIND, "a", "ab.2", {"later": 1}, replaces=1)
        assert await store.ids(KIND, "a") == ["ab.2", "a.1", "ab.1", "b.ab.", "ab.1.x"]
        for prefix in ("", "a", "ab.", "ab.1", "ab.1.", "ab.1.x", "c", "b.ab"):
            expected = [one.id for one in await store.list(KIND, "a", prefix=prefix)]
            assert await store.ids(KIND, "a", prefix=prefix) == expected
        await store.remove(KIND, "a", "ab.2", replaces=2)
        await store.save(KIND, "a", "ab.2", {})
        (await store.ids(KIND, "a")).clear()
        assert await store.ids(KIND, "a", prefix="ab.") == ["ab.1", "ab.1.x", "ab.2"]

    async def test_accounts_and_kinds_are_apart(self, store: Store) -> None:
        await store.save(KIND, "a", "1", {"of": "a"})
        await store.save(KIND, "b", "1", {"of": "b"})
        await store.save("api_keys", "a", "1", {"of": "key"})
        assert store.kinds() == ["api_keys", KIND]
        assert [d.data for d in await store.list(KIND, "a")] == [{"of": "a"}]
        assert [d.data for d in await store.list("api_keys", "a")] == [{"of": "key"}]
        assert await store.get(KIND, "c", "1") is None

    async def test_the_accounts_are_those_that_have_a_document_of_the_kind(self, store: Store) -> None:
        """Sorted; an account of which the last one was removed is none of them, and neither is another kind's."""
        for account in ("b", "c", "", "a", "ü"):
            await store.save(KIND, account, "1", {})
        await store.save(KIND, "b", "2", {})
        await store.save("api_keys", "z", "1", {})
        assert await store.accounts(KIND) == ["", "a", "b", "c", "ü"]
        await store.remove(KIND, "a", "1", replaces=1)
        await store.remove(KIND, "b", "1", replaces=1)
        assert await store.accounts(KIND) == ["", "b", "c", "ü"]
        assert await store.accounts("never") == []

    async def test_each_save_grows_the_revision_by_one(self, store: Store) -> None:
        for revision in range(5):
            saved = await store.save(KIND, "a", "1", {"n": revision}, replaces=revision)
            assert saved.revision == revision + 1
        found = await store.get(KIND, "a", "1")
        assert found is not None
        assert (found.revision, found.data) == (5, {"n": 4})

    @pytest.mark.parametrize("replaces", [0, 1, 3, -1])
    async def test_a_save_over_another_revision_is_a_conflict(self, store: Store, replaces: int) -> None:
        await store.save(KIND, "a", "1", {"n": 1})
        second = await store.save(KIND, "a", "1", {"n": 2}, replaces=1)
        with pytest.raises(Conflict):
            await store.save(KIND, "a", "1", {"n": 3}, replaces=replaces)
        assert await store.get(KIND, "a", "1") == second

    async def test_a_save_over_nothing_is_a_conflict(self, store: Store) -> None:
        with pytest.raises(Conflict):
            await store.save(KIND, "a", "1", {}, replaces=1)
        assert await store.count(KIND, "a") == 0

    async def test_a_removed_document_is_gone_and_may_come_again(self, store: Store) -> None:
        await store.save(KIND, "a", "1", {})
        await store.remove(KIND, "a", "1", replaces=1)
        assert await store.get(KIND, "a", "1") is None
        assert await store.count(KIND, "a") == 0
        assert store.kinds() == [KIND], "a kind that was ever used stays"
        assert (await store.save(KIND, "a", "1", {"again": 1})).revision == 1

    @pytest.mark.parametrize(("id", "replaces"), [("1", 0), ("1", 2), ("2", 0), ("2", 1)])
    async def test_removing_another_revision_is_a_conflict(
        self,
        store: Store,
        id: str,  # noqa: A002
        replaces: int,
    ) -> None:
        await store.save(KIND, "a", "1", {})
        with pytest.raises(Conflict):
            await store.remove(KIND, "a", id, replaces=replaces)
        assert await store.count(KIND, "a") == 1

    async def test_a_list_is_in_order_of_the_first_save(self, store: Store) -> None:
        for id_ in ("c", "a", "b", "d"):
            await store.save(KIND, "a", id_, {})
        await store.save(KIND, "a", "c", {"later": 1}, replaces=1)
        await store.remove(KIND, "a", "a", replaces=1)
        await store.save(KIND, "a", "a", {})
        assert [d.id for d in await store.list(KIND, "a")] == ["c", "b", "d", "a"]

    async def test_the_limit_holds_for_new_documents_of_the_account(self, store: Store) -> None:
        await store.save(KIND, "b", "0", {}, limit=2)
        for id_ in ("1", "2"):
            await store.save(KIND, "a", id_, {}, limit=2)
        with pytest.raises(LimitReached):
            await store.save(KIND, "a", "3", {}, limit=2)
        await store.save(KIND, "a", "2", {"n": 2}, replaces=1, limit=2)
        await store.remove(KIND, "a", "1", replaces=1)
        await store.save(KIND, "a", "3", {}, limit=2)
        assert await store.count(KIND, "a") == 2

    async def test_the_limit_is_not_passed_by_many_at_once(self, store: Store) -> None:
        saves = (store.save(KIND, "a", str(n), {}, limit=3) for n in range(20))
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 17
        assert await store.count(KIND, "a") == 3

    @pytest.mark.parametrize("replaces", [0, 1])
    async def test_one_of_many_saves_over_the_same_revision_wins(self, store: Store, replaces: int) -> None:
        if replaces:
            await store.save(KIND, "a", "1", {"n": "first"})
        saves = (store.save(KIND, "a", "1", {"n": n}, replaces=replaces) for n in range(10))
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert len(won) == 1
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 9
        assert await store.get(KIND, "a", "1") == won[0]

    @pytest.mark.parametrize(
        "data", [{"x": float("nan")}, {"x": float("inf")}, {"x": "\ud800"}, {"x": {1, 2}}, {"x": object()}]
    )
    async def test_what_is_not_json_is_refused(self, store: Store, data: dict[str, Any]) -> None:
        with pytest.raises((ValueError, TypeError)):
            await store.save(KIND, "a", "1", data)
        assert await store.get(KIND, "a", "1") is None

    @pytest.mark.parametrize("kind", ["", "Destinations", "../x", "a.b", "a1", "a\n"])
    async def test_a_kind_that_could_not_name_a_file_is_refused(self, store: Store, kind: str) -> None:
        with pytest.raises(ValueError, match="not a kind"):
            await store.save(kind, "a", "1", {})
        assert store.kinds() == []

    async def test_a_closed_store_refuses(self, store: Store) -> None:
        await store.save(KIND, "a", "1", {})
        await store.close()
        await store.close()
        assert not store.writable
        with pytest.raises(StoreError):
            await store.save(KIND, "a", "2", {})
        with pytest.raises(StoreError):
            await store.get(KIND, "a", "1")
        with pytest.raises(StoreError):
            await store.ids(KIND, "a")
        with pytest.raises(StoreError):
            await store.accounts(KIND)

    async def test_a_store_that_was_closed_can_be_opened_again(self, store: Store) -> None:
        saved = await store.save(KIND, "a", "1", {"n": 1})
        await store.close()
        await store.open()
        assert store.writable
        assert await store.list(KIND, "a") == [saved]

    async def test_a_store_is_opened_once(self, store: Store) -> None:
        with pytest.raises(StoreUnusable):
            await store.open()
        assert store.writable
