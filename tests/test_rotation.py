"""The key that seals changes, and every secret is there before and after, and never without a key that opens it."""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from consignee.errors import Conflict, NotFound, SettingsError, StoreError
from consignee.rotation import KeyUse, Making, Rotation
from consignee.sealed import SEALED
from consignee.sealing_key import KIND, load_sealer, new_key
from consignee.secret import Sealer, Secret, key_id_of
from consignee.settings import SecretsSettings
from consignee.store import Data
from consignee.store.memory import MemoryStore
from preceded import PrecededStore
from vault import ACCOUNTS, Plain, counts, fill, ids_in, opened, rotation_of

KEYS = [bytes([number]) * 32 for number in range(5)]
OLD, NEW = map(key_id_of, KEYS[:2])
EACH = 3
ALL = EACH * len(ACCOUNTS) * len(SEALED)


class Vault:
    """A filled store, its key file, and what it holds."""

    def __init__(self, store: MemoryStore, settings: SecretsSettings, sealer: Sealer, expected: Plain) -> None:
        self.store = store
        self.settings = settings
        self.sealer = sealer
        self.expected = expected
        random = iter(KEYS[1:])
        self.rotation = Rotation(store, sealer=sealer, settings=settings, random=lambda size: next(random))

    async def restarted(self) -> Rotation:
        """Take up what the process before left."""
        self.rotation, self.sealer = await rotation_of(self.store, self.settings)
        return self.rotation

    async def is_whole(self) -> bool:
        """Whether everything opens, and is what it was."""
        return await opened(self.store, self.sealer) == self.expected

    async def registered(self) -> list[str]:
        """Return the ids of the keys that the store knows of."""
        return [document.id for document in await self.store.list(KIND, "")]


@pytest.fixture
async def store() -> AsyncIterator["FragileStore"]:
    """An empty store, open."""
    store = FragileStore()
    await store.open()
    yield store
    await store.close()


class FragileStore(PrecededStore):
    """Asks before each save whether it may be done."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[str, str], None] = lambda kind, id_: None

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        await asyncio.sleep(0)
        self.before(kind, id)


@pytest.fixture
async def vault(store: FragileStore, tmp_path: Path) -> Vault:
    """Something sealed of every kind, with the key OLD."""
    path = tmp_path / "keys" / "secret.key"
    settings = SecretsSettings(key_file=str(path))
    sealer = await load_sealer(settings, store, random=lambda size: KEYS[0][:size])
    return Vault(store, settings, sealer, await fill(store, sealer, each=EACH))


async def test_everything_is_sealed_with_a_new_key(vault: Vault) -> None:
    uses = await vault.rotation.rotate()
    assert uses == [KeyUse(NEW, ALL, current=True, present=True), KeyUse(OLD, 0, current=False, present=True)]
    assert uses == await vault.rotation.status()
    assert vault.sealer.key_ids == (NEW, OLD)
    assert await vault.is_whole()
    assert await vault.registered() == [OLD, NEW]


async def test_the_key_file_holds_the_new_key_first_and_is_private(vault: Vault) -> None:
    await vault.rotation.rotate()
    path = Path(vault.settings.key_file)
    assert ids_in(vault.settings) == [NEW, OLD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_what_is_sealed_anew_is_the_next_revision_and_else_as_it_was(vault: Vault) -> None:
    await vault.rotation.rotate()
    for kind in SEALED:
        for account in ACCOUNTS:
            assert [one.revision for one in await vault.store.list(kind, account)] == [2] * EACH


async def test_the_next_start_goes_on_with_both(vault: Vault) -> None:
    await vault.rotation.rotate()
    await vault.restarted()
    assert vault.sealer.key_ids == (NEW, OLD)
    assert await vault.is_whole()


async def test_a_second_rotation_makes_a_third_key(vault: Vault) -> None:
    await vault.rotation.rotate()
    assert list(counts(await vault.rotation.rotate()).values()) == [ALL, 0, 0]
    assert ids_in(vault.settings) == [key_id_of(KEYS[2]), NEW, OLD]
    assert await vault.is_whole()


async def interrupted(vault: Vault, *, after: int) -> None:
    """Rotate, with the disk failing after so many saves."""
    left = iter(range(after))

    def fail(kind: str, id_: str) -> None:
        if next(left, None) is None:
            raise StoreError("the disk failed")

    assert isinstance(vault.store, FragileStore)
    vault.store.before = fail
    with pytest.raises(StoreError, match="the disk failed"):
        await vault.rotation.rotate()
    vault.store.before = lambda kind, id_: None


@pytest.mark.parametrize("after", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("restart", [False, True])
async def test_one_that_was_interrupted_goes_on_without_another_key(vault: Vault, after: int, restart: bool) -> None:
    """Whether the process is the same, or another; and nothing ever fails to open."""
    await interrupted(vault, after=after)
    assert await vault.is_whole()
    rotation = await vault.restarted() if restart else vault.rotation
    assert await vault.is_whole()
    assert counts(await rotation.rotate()) == {NEW: ALL, OLD: 0}
    assert ids_in(vault.settings) == [NEW, OLD]
    assert await vault.is_whole()


async def test_a_new_key_is_made_before_the_last_is_done_if_so_wished(vault: Vault) -> None:
    await interrupted(vault, after=5)
    assert list(counts(await vault.rotation.rotate(Making.ALWAYS)).values()) == [ALL, 0, 0]
    assert await vault.is_whole()


async def test_one_that_is_resumed_never_makes_a_key(vault: Vault) -> None:
    assert counts(await vault.rotation.rotate(Making.NEVER)) == {OLD: ALL}
    await interrupted(vault, after=5)
    assert counts(await vault.rotation.rotate(Making.NEVER)) == {NEW: ALL, OLD: 0}
    assert counts(await vault.rotation.rotate(Making.NEVER)) == {NEW: ALL, OLD: 0}
    assert await vault.is_whole()


async def test_the_key_is_durable_and_then_registered_before_anything_is_sealed_with_it(vault: Vault) -> None:
    seen: list[tuple[str, bool]] = []
    assert isinstance(vault.store, FragileStore)
    vault.store.before = lambda kind, id_: seen.append((f"{kind} {id_}", NEW in ids_in(vault.settings)))
    await vault.rotation.rotate()
    assert seen[0] == (f"{KIND} {NEW}", True)
    assert [one for one, _ in seen].index(f"{KIND} {NEW}") == 0


async def test_a_key_file_that_can_not_be_written_changes_nothing(vault: Vault) -> None:
    """The successor can't be written where a directory stands."""
    path = Path(vault.settings.key_file)
    before = path.read_bytes()
    (path.parent / f"{path.name}.new" / "in the way").mkdir(parents=True)
    with pytest.raises(SettingsError, match=re.escape(f"the key file {path} can't be written")):
        await vault.rotation.rotate()
    assert path.read_bytes() == before
    assert vault.sealer.key_ids == (OLD,)
    assert await vault.registered() == [OLD]
    assert await vault.is_whole()


async def test_a_link_to_the_key_file_stays_a_link(vault: Vault, tmp_path: Path) -> None:
    path, elsewhere = Path(vault.settings.key_file), tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    await vault.rotation.rotate()
    assert path.is_symlink()
    assert os.path.samefile(path, elsewhere)
    assert ids_in(vault.settings) == [NEW, OLD]


@pytest.mark.parametrize("content", [None, KEYS[3].hex(), f"{KEYS[0].hex()} hunter2"])
async def test_a_key_file_that_was_lost_or_spoilt_meanwhile_is_not_written_over(
    vault: Vault, content: str | None
) -> None:
    path = Path(vault.settings.key_file)
    path.unlink()
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises((Conflict, SettingsError), match=re.escape(str(path))) as refused:
        await vault.rotation.rotate()
    assert "hunter2" not in str(refused.value)
    assert (path.read_text() if path.exists() else None) == content
    assert await vault.is_whole()


async def test_a_key_that_was_put_first_by_hand_while_the_service_runs_is_taken(vault: Vault) -> None:
    """Nothing is left on another key, but for the first one: so no other is made."""
    Path(vault.settings.key_file).write_text(f"{KEYS[4].hex()}\n{KEYS[0].hex()}\n")
    assert counts(await vault.rotation.rotate()) == {key_id_of(KEYS[4]): ALL, OLD: 0}
    assert await vault.registered() == [OLD, key_id_of(KEYS[4])]
    assert await vault.is_whole()


async def test_a_key_that_was_put_first_by_hand_seals_from_the_next_start_on(vault: Vault) -> None:
    Path(vault.settings.key_file).write_text(f"{KEYS[4].hex()}\n{KEYS[0].hex()}\n")
    rotation = await vault.restarted()
    assert vault.sealer.key_id == key_id_of(KEYS[4])
    assert await vault.registered() == [OLD, key_id_of(KEYS[4])]
    assert counts(await rotation.status()) == {key_id_of(KEYS[4]): 0, OLD: ALL}
    assert counts(await rotation.rotate()) == {key_id_of(KEYS[4]): ALL, OLD: 0}
    assert await vault.is_whole()


def given(vault: Vault, *keys: bytes) -> None:
    """Have the keys in the environment."""
    vault.settings = SecretsSettings(key=Secret(" ".join(key.hex() for key in keys)), key_file=vault.settings.key_file)


async def test_a_key_in_the_environment_is_the_operators_to_change(vault: Vault) -> None:
    """Who is told how, and then has everything sealed anew."""
    given(vault, KEYS[0])
    with pytest.raises(Conflict, match="put a new key there, before the present one"):
        await (await vault.restarted()).rotate()
    assert ids_in(vault.settings) == [OLD]
    given(vault, KEYS[1], KEYS[0])
    assert counts(await (await vault.restarted()).rotate()) == {NEW: ALL, OLD: 0}
    assert await vault.is_whole()


async def test_a_key_in_the_environment_is_forgotten_when_it_is_taken_out(vault: Vault) -> None:
    given(vault, KEYS[1], KEYS[0])
    rotation = await vault.restarted()
    await rotation.rotate()
    with pytest.raises(Conflict, match="CONSIGNEE_SECRETS__KEY: take it out there"):
        await rotation.forget(OLD)
    assert vault.sealer.key_ids == (NEW, OLD)
    given(vault, KEYS[1])
    rotation = await vault.restarted()
    assert await rotation.status() == [KeyUse(NEW, ALL, True, True), KeyUse(OLD, 0, False, False)]
    await rotation.forget(OLD)
    assert await vault.registered() == [NEW]


async def test_a_forgotten_key_opens_nothing(vault: Vault) -> None:
    """Neither what was sealed with it once, nor anything that is there now."""
    before = {kind: await vault.store.list(kind, "ann") for kind in SEALED}
    await vault.rotation.rotate()
    await vault.rotation.forget(OLD)
    assert ids_in(vault.settings) == [NEW]
    assert await vault.registered() == [NEW]
    assert await vault.is_whole()
    (text, *_) = before["destinations"][0].data["secrets"].values()
    with pytest.raises(StoreError, match=f"sealed with key '{OLD}', not '{NEW}'"):
        vault.sealer.open(text, account="ann", id="de0", revision=1, field="0")
    with pytest.raises(StoreError, match="is sealed with key"):
        await opened(vault.store, Sealer(KEYS[0]))
    await vault.restarted()
    assert await vault.is_whole()


async def test_a_key_that_is_needed_is_not_forgotten(vault: Vault) -> None:
    await interrupted(vault, after=5)
    left = counts(await vault.rotation.status())[OLD]
    assert 0 < left < ALL
    with pytest.raises(Conflict, match=f"^{left} documents are still sealed with key {OLD}: rotate first.$"):
        await vault.rotation.forget(OLD)
    with pytest.raises(Conflict, match=f"{NEW} is the one that seals"):
        await vault.rotation.forget(NEW)
    with pytest.raises(NotFound, match="There is no key nope"):
        await vault.rotation.forget("nope")
    assert ids_in(vault.settings) == [NEW, OLD]
    assert await vault.is_whole()


async def test_a_key_that_never_sealed_anything_can_be_forgotten(vault: Vault) -> None:
    with Path(vault.settings.key_file).open("a") as file:
        file.write(KEYS[3].hex())
    await vault.rotation.forget(key_id_of(KEYS[3]))
    assert ids_in(vault.settings) == [OLD]


async def test_what_can_not_be_opened_is_left_alone_counted_and_told(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps neither the others from being sealed anew nor the next key from being made; its key is not forgotten."""
    spoilt = await vault.store.get("destinations", "ann", "de0")
    assert spoilt is not None
    data = {**spoilt.data, "secrets": {name: text[:-8] + "AAAAAA==" for name, text in spoilt.data["secrets"].items()}}
    await vault.store.save("destinations", "ann", "de0", data, replaces=1)
    assert counts(await vault.rotation.rotate()) == {NEW: ALL - 1, OLD: 1}
    assert "a document of kind destinations can't be sealed anew: a secret of de0 was altered" in caplog.text
    kept = await vault.store.get("destinations", "ann", "de0")
    assert kept is not None
    assert (kept.revision, kept.data) == (2, data)
    with pytest.raises(Conflict, match="1 documents are still sealed"):
        await vault.rotation.forget(OLD)
    assert counts(await vault.rotation.rotate(Making.ALWAYS)) == {key_id_of(KEYS[2]): ALL - 1, NEW: 0, OLD: 1}


async def test_the_state_of_an_upload_that_can_not_be_opened_is_dropped(vault: Vault) -> None:
    """The upload then begins anew, as it does whenever its state is not known."""
    data = {"data": {"checkpoints": {"0": f"{OLD}:AAAA"}, "besides": 1}, "job": {}}
    await vault.store.save("deliveries", "ann", "spoilt", data)
    assert counts(await vault.rotation.rotate()) == {NEW: ALL, OLD: 0}
    left = await vault.store.get("deliveries", "ann", "spoilt")
    assert left is not None
    assert left.data == {"data": {"checkpoints": {}, "besides": 1}, "job": {}}


async def test_documents_without_secrets_are_left_as_they_are(vault: Vault) -> None:
    """Collections once had none."""
    for data in ({"name": "Old"}, {"name": "Old", "secrets": {}}):
        await vault.store.save("collections", "ann", f"plain{len(data)}", data)
    await vault.rotation.rotate()
    kept = [await vault.store.get("collections", "ann", f"plain{number}") for number in (1, 2)]
    assert [one.revision for one in kept if one is not None] == [1, 1]


async def test_only_one_rotation_is_under_way(vault: Vault) -> None:
    both = await asyncio.gather(vault.rotation.rotate(), vault.rotation.rotate(), return_exceptions=True)
    refused = [one for one in both if isinstance(one, Conflict)]
    assert [str(one) for one in refused] == ["A rotation of the keys is under way: wait for its end."]
    assert ids_in(vault.settings) == [NEW, OLD]


async def test_a_rotation_that_is_stopped_leaves_the_rest(vault: Vault) -> None:
    """The service ends without waiting for it; the next one goes on."""
    assert isinstance(vault.store, FragileStore)
    seen: list[str] = []

    def stop(kind: str, id_: str) -> None:
        seen.append(id_)
        if len(seen) == 5:
            vault.rotation.stop()

    await fill_more(vault)
    vault.store.before = stop
    uses = counts(await vault.rotation.rotate())
    assert 0 < uses[OLD] < ALL + 100
    vault.store.before = lambda kind, id_: None
    assert counts(await (await vault.restarted()).rotate()) == {NEW: ALL + 100, OLD: 0}


async def fill_more(vault: Vault) -> None:
    """Save 100 documents more."""
    for number in range(100):
        sealed = vault.sealer.seal(Secret("more"), account="eve", id=f"{number}", revision=1, field="a")
        await vault.store.save("destinations", "eve", f"{number}", {"secrets": {"a": sealed}})


async def test_what_is_removed_or_changed_meanwhile_is_looked_at_again(vault: Vault) -> None:
    """A change by a customer, sealed with whatever key, wins over the sealing anew."""
    assert isinstance(vault.store, FragileStore)
    store, raced = vault.store, set[str]()

    def race(kind: str, id_: str) -> None:
        if kind == "destinations" and id_ not in raced and id_ in ("de0", "de1"):
            raced.add(id_)
            if id_ == "de0":
                removals.append(asyncio.ensure_future(store.remove(kind, "ann", id_, replaces=1)))
            raise Conflict("somebody was faster")

    removals: list[asyncio.Future[None]] = []
    store.before = race
    assert counts(await vault.rotation.rotate()) == {NEW: ALL - len(removals), OLD: 0}
    await asyncio.gather(*removals)
    assert raced == {"de0", "de1"}
    vault.expected = {
        place: plain for place, plain in vault.expected.items() if place[:3] != ("destinations", "ann", "de0")
    }
    assert await vault.is_whole()


def test_a_new_key_has_an_id_of_its_own() -> None:
    keys = iter(KEYS)
    assert new_key(lambda size: next(keys), [OLD, NEW]) == KEYS[2]
