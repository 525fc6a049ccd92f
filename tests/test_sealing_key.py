"""Where the sealing key comes from, and that a store is never opened without its own."""

import base64
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consignee.errors import SettingsError, StoreFull, StoreUnusable
from consignee.sealing_key import KIND, SEALED, load_sealer
from consignee.secret import Sealer, Secret, key_id_of
from consignee.settings import SecretsSettings
from consignee.store.memory import MemoryStore
from racing import RacyStore

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """An empty store, open."""
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def settings(tmp_path: Path) -> SecretsSettings:
    """A key file in a directory that is not there yet."""
    return SecretsSettings(key_file=str(tmp_path / "new" / "secret.key"))


def given(*keys: bytes) -> SecretsSettings:
    """Return the settings of keys in the environment."""
    return SecretsSettings(key=Secret(" ".join(key.hex() for key in keys)))


async def keep(store: MemoryStore, sealer: Sealer, id_: str) -> None:
    """Save a document with something sealed."""
    sealed = sealer.seal(Secret("hunter2"), account="acme", id=id_, revision=1, field="a")
    await store.save("destinations", "acme", id_, {"secrets": {"a": sealed}})


async def ids(store: MemoryStore) -> list[str]:
    """Return the ids of the keys that the store knows of."""
    return [document.id for document in await store.list(KIND, "")]


async def test_the_first_start_makes_a_key(store: MemoryStore, settings: SecretsSettings) -> None:
    """For nobody else to read, and in the form in which one would give it."""
    sealer = await load_sealer(settings, store, random=lambda length: KEY[:length])
    path = Path(settings.key_file)
    assert path.read_text() == base64.b64encode(KEY).decode() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sealer.key_id == Sealer(KEY).key_id
    assert [document.id for document in await store.list(KIND, "")] == [sealer.key_id]


async def test_two_stores_have_two_keys(store: MemoryStore, tmp_path: Path) -> None:
    other = MemoryStore()
    await other.open()
    first = await load_sealer(SecretsSettings(key_file=str(tmp_path / "one")), store)
    second = await load_sealer(SecretsSettings(key_file=str(tmp_path / "two")), other)
    assert first.key_id != second.key_id


async def test_the_next_start_uses_it(store: MemoryStore, settings: SecretsSettings) -> None:
    first = await load_sealer(settings, store)
    written = Path(settings.key_file).read_bytes()
    again = await load_sealer(settings, store)
    assert again.key_id == first.key_id
    assert Path(settings.key_file).read_bytes() == written
    assert await store.count(KIND, "") == 1


async def test_a_key_from_the_environment_makes_no_file(store: MemoryStore, tmp_path: Path) -> None:
    settings = SecretsSettings(key=Secret(KEY.hex()), key_file=str(tmp_path / "secret.key"))
    assert (await load_sealer(settings, store)).key_id == Sealer(KEY).key_id
    assert list(tmp_path.iterdir()) == []


async def test_a_key_from_the_environment_goes_before_the_file(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text(OTHER.hex())
    settings = SecretsSettings(key=Secret(KEY.hex()), key_file=str(tmp_path / "secret.key"))
    assert (await load_sealer(settings, store)).key_id == Sealer(KEY).key_id


async def test_a_key_that_the_operator_made_is_taken(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "secret.key").touch(mode=0o600)
    (tmp_path / "secret.key").write_text(f"{KEY.hex()}\n")
    sealer = await load_sealer(SecretsSettings(key_file=str(tmp_path / "secret.key")), store)
    assert sealer.key_id == Sealer(KEY).key_id


async def test_an_interrupted_first_start_is_taken_up(store: MemoryStore, settings: SecretsSettings) -> None:
    """The file was written, its id not yet."""
    Path(settings.key_file).parent.mkdir()
    Path(settings.key_file).touch(mode=0o600)
    Path(settings.key_file).write_text(KEY.hex())
    await load_sealer(settings, store)
    assert [document.id for document in await store.list(KIND, "")] == [Sealer(KEY).key_id]


async def test_the_wrong_key_is_refused_and_both_are_named(store: MemoryStore) -> None:
    await load_sealer(given(KEY), store)
    mine, other = Sealer(KEY).key_id, Sealer(OTHER).key_id
    said = f"sealed with key {mine}, but CONSIGNEE_SECRETS__KEY holds key {other}"
    with pytest.raises(StoreUnusable, match=said) as refused:
        await load_sealer(given(OTHER), store)
    assert OTHER.hex() not in str(refused.value)
    assert await store.count(KIND, "") == 1


async def test_the_wrong_key_file_is_named(store: MemoryStore, tmp_path: Path) -> None:
    await load_sealer(given(KEY), store)
    path = tmp_path / "secret.key"
    path.touch(mode=0o600)
    path.write_text(OTHER.hex())
    with pytest.raises(StoreUnusable, match=re.escape(f"the key file {path} holds key {Sealer(OTHER).key_id}")):
        await load_sealer(SecretsSettings(key_file=str(path)), store)


async def test_a_lost_key_is_never_replaced(store: MemoryStore, settings: SecretsSettings) -> None:
    """The store has sealed secrets: a new key could read none of them."""
    sealer = await load_sealer(settings, store)
    Path(settings.key_file).unlink()
    said = f"key {sealer.key_id}, but the key file {settings.key_file} does not exist"
    with pytest.raises(StoreUnusable, match=re.escape(said)):
        await load_sealer(settings, store)
    assert not Path(settings.key_file).exists()


@pytest.mark.parametrize("kind", sorted(SEALED))
@pytest.mark.parametrize("with_key", [True, False])
async def test_what_an_unknown_key_sealed_is_not_taken_over(
    store: MemoryStore, settings: SecretsSettings, with_key: bool, kind: str
) -> None:
    """The note of the key was lost: nobody can tell whether this one belongs to them."""
    await store.save(kind, "acme", "ABCD1234", {"secrets": {}})
    with pytest.raises(StoreUnusable, match=r"\(unknown\)"):
        await load_sealer(given(KEY) if with_key else settings, store)
    assert not Path(settings.key_file).exists()
    assert await store.count(KIND, "") == 0


@pytest.mark.parametrize("content", [b"", b"hunter2\n", b"\xff\xfe", KEY, b"0" * 63])
async def test_a_file_that_holds_no_key_is_the_operators_to_mend(
    store: MemoryStore, tmp_path: Path, content: bytes
) -> None:
    """Named, not quoted, and not overwritten."""
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(str(path))) as refused:
        await load_sealer(SecretsSettings(key_file=str(path)), store)
    assert "hunter2" not in str(refused.value)
    assert path.read_bytes() == content
    assert store.kinds() == []


async def test_a_key_that_is_none_is_the_operators_to_mend(store: MemoryStore) -> None:
    with pytest.raises(SettingsError, match=r"CONSIGNEE_SECRETS__KEY: a sealing key is 32 bytes") as refused:
        await load_sealer(SecretsSettings(key=Secret("hunter2")), store)
    assert "hunter2" not in str(refused.value)


async def test_a_key_file_that_is_a_directory_is_named(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read: IsADirectoryError"):
        await load_sealer(SecretsSettings(key_file=str(tmp_path)), store)


async def test_a_key_file_that_can_not_be_made_is_named(store: MemoryStore, tmp_path: Path) -> None:
    """Nothing is kept of a key that is not on the disk."""
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at-all")
    path = tmp_path / "dangling" / "secret.key"
    with pytest.raises(SettingsError, match=re.escape(f"{path} can't be written")):
        await load_sealer(SecretsSettings(key_file=str(path)), store)
    assert store.kinds() == []


async def test_a_new_first_key_seals_and_is_registered(store: MemoryStore) -> None:
    """Before it seals anything."""
    await keep(store, await load_sealer(given(KEY), store), "1")
    sealer = await load_sealer(given(OTHER, KEY), store)
    assert sealer.key_ids == (key_id_of(OTHER), key_id_of(KEY))
    assert await ids(store) == [key_id_of(KEY), key_id_of(OTHER)]


async def test_a_key_that_is_missing_though_it_is_needed_is_named(store: MemoryStore) -> None:
    """With how much needs it; nothing is changed, and with the key it starts again."""
    await keep(store, await load_sealer(given(KEY), store), "1")
    await keep(store, await load_sealer(given(OTHER, KEY), store), "2")
    await keep(store, await load_sealer(given(OTHER, KEY), store), "3")
    said = f"1 documents are still sealed with key {key_id_of(KEY)}, which CONSIGNEE_SECRETS__KEY does not hold"
    with pytest.raises(StoreUnusable, match=said):
        await load_sealer(given(OTHER), store)
    said = f"2 documents are still sealed with key {key_id_of(OTHER)}"
    with pytest.raises(StoreUnusable, match=said):
        await load_sealer(given(KEY), store)
    assert (await load_sealer(given(KEY, OTHER), store)).key_id == key_id_of(KEY)
    assert await ids(store) == [key_id_of(KEY), key_id_of(OTHER)]


async def test_a_key_that_nothing_needs_may_be_missing(store: MemoryStore) -> None:
    await load_sealer(given(KEY), store)
    await keep(store, await load_sealer(given(OTHER, KEY), store), "1")
    assert (await load_sealer(given(OTHER), store)).key_ids == (key_id_of(OTHER),)


async def test_a_ring_of_strangers_is_refused_though_nothing_is_sealed(store: MemoryStore) -> None:
    """It is somebody else's."""
    await load_sealer(given(KEY), store)
    with pytest.raises(StoreUnusable, match=f"holds key {key_id_of(OTHER)} or {key_id_of(bytes(32))}: give the key"):
        await load_sealer(given(OTHER, bytes(32)), store)


async def test_one_bad_key_in_the_file_is_the_operators_to_mend(store: MemoryStore, tmp_path: Path) -> None:
    """Also behind a good one; neither is quoted."""
    path = tmp_path / "secret.key"
    path.write_text(f"{KEY.hex()}\nhunter2\n")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=re.escape(f"the key file {path}: a sealing key is 32 bytes")) as refused:
        await load_sealer(SecretsSettings(key_file=str(path)), store)
    assert "hunter2" not in str(refused.value)
    assert KEY.hex() not in str(refused.value)
    assert store.kinds() == []


async def full() -> None:
    """Fail as a save does on a full disk."""
    raise StoreFull("the store's disk is full")


async def test_a_new_first_key_that_can_not_be_noted_does_not_seal_yet() -> None:
    """On a full disk the service starts all the same; the next start notes it."""
    store = RacyStore()
    await store.open()
    await load_sealer(given(KEY), store)
    store.first = full
    assert (await load_sealer(given(OTHER, KEY), store)).key_ids == (key_id_of(KEY), key_id_of(OTHER))
    assert await ids(store) == [key_id_of(KEY)]
    assert (await load_sealer(given(OTHER, KEY), store)).key_id == key_id_of(OTHER)


async def test_a_first_start_needs_room() -> None:
    store = RacyStore()
    await store.open()
    store.first = full
    with pytest.raises(StoreUnusable, match=r"no room on the disk .*: make room, then start again"):
        await load_sealer(given(KEY), store)
