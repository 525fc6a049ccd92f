"""Sets are kept whole, are found again, and are removed for good."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from consignee.delivery.spool import Spool, SpooledFile
from consignee.errors import StoreError, StoreUnusable
from delivery.spooling import arriving, content, kept, lying_in, opened

FILES = [("a.csv", b"one"), ("日本 %DATE%.txt", b""), ("..c", bytes(range(256)) * 3000)]


@pytest.fixture
async def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return await opened(tmp_path / "spool")


async def test_a_set_is_kept_with_its_digests(spool: Spool) -> None:
    token, files = await kept(spool, FILES)
    for number, (file, (name, sent)) in enumerate(zip(files, FILES, strict=True)):
        assert (file.name, file.size) == (name, len(sent))
        assert file.md5 == hashlib.md5(sent).hexdigest()
        assert file.sha256 == hashlib.sha256(sent).hexdigest()
        body = spool.body(token, number, file)
        assert (body.length, body.md5.hex(), body.sha256.hex()) == (file.size, file.md5, file.sha256)
        assert await content(spool, token, number, file) == sent
    assert await spool.tokens() == [token]


async def test_only_the_owner_can_read_and_no_name_of_a_customer_is_on_the_disk(spool: Spool, tmp_path: Path) -> None:
    token, _ = await kept(spool, FILES)
    place = tmp_path / "spool"
    assert lying_in(place) == [f"kept/{token}", *(f"kept/{token}/{number}" for number in range(3))]
    for path in (place, *place.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("size", [1, 1000, 256 * 1024, 10**6])
async def test_chunks_of_any_size_make_the_same_file(spool: Spool, size: int) -> None:
    sent = bytes(range(251)) * 4000
    async with spool.intake() as intake:
        chunks = arriving(*(sent[start : start + size] for start in range(0, len(sent), size)))
        file = await intake.add("a", chunks)
        token = await intake.keep()
    assert file.sha256 == hashlib.sha256(sent).hexdigest()
    assert await content(spool, token, 0, file) == sent


def test_a_file_is_stored_and_read_again_as_json() -> None:
    file = SpooledFile("日本", 3, "0" * 32, "f" * 64)
    assert SpooledFile.from_data(json.loads(json.dumps(file.to_data()))) == file


async def test_kept_sets_survive_a_restart(spool: Spool, tmp_path: Path) -> None:
    token, files = await kept(spool, FILES)
    await spool.close()
    again = await opened(tmp_path / "spool")
    assert await again.tokens() == [token]
    assert await content(again, token, 2, files[2]) == FILES[2][1]


async def test_a_start_removes_what_was_never_kept(spool: Spool, tmp_path: Path) -> None:
    leftover = tmp_path / "spool" / "incoming" / "ab"
    leftover.mkdir()
    (leftover / "0").write_bytes(b"half")
    (leftover.parent / "stray").touch()
    token, _ = await kept(spool, [("a", b"")])
    await spool.close()
    again = await opened(tmp_path / "spool")
    assert lying_in(tmp_path / "spool") == [f"kept/{token}", f"kept/{token}/0"]
    assert await again.tokens() == [token]


async def test_a_spool_is_open_once_at_a_time(spool: Spool, tmp_path: Path) -> None:
    """A second one would remove what the first one is taking in."""
    with pytest.raises(StoreUnusable, match="is in use: only one process"):
        await opened(tmp_path / "spool")
    await spool.close()
    await spool.close()
    await opened(tmp_path / "spool")


async def test_a_spool_that_holds_files_of_one_store_is_not_given_to_another(spool: Spool) -> None:
    owner = await spool.claim(None)
    assert await spool.claim(owner) == owner
    token, _ = await kept(spool, FILES)
    for other in (None, "another"):
        with pytest.raises(StoreUnusable, match="holds files of another store"):
            await spool.claim(other)
    assert await spool.tokens() == [token]
    await spool.remove(token)
    assert await spool.claim("another") == "another"


async def test_a_set_is_removed_once_and_for_all(spool: Spool, tmp_path: Path) -> None:
    token, _ = await kept(spool, FILES)
    other, files = await kept(spool, FILES)
    await asyncio.gather(*(spool.remove(token) for _ in range(5)))
    await spool.remove(token)
    assert await spool.tokens() == [other]
    assert await content(spool, other, 0, files[0]) == b"one"
    assert len(lying_in(tmp_path / "spool")) == 4


async def test_a_sweep_removes_what_nobody_knows(spool: Spool) -> None:
    tokens = [(await kept(spool, [("a", b"x")]))[0] for _ in range(4)]
    await spool.sweep({*tokens[1:3], "unknown"})
    assert await spool.tokens() == sorted(tokens[1:3])
    await spool.sweep(())
    assert await spool.tokens() == []


@pytest.mark.parametrize("token", ["", ".", "..", "../kept", "a/b", "AB", "ab\n"])
async def test_only_a_token_leads_to_files(spool: Spool, token: str) -> None:
    """A damaged record must not remove or send anything else."""
    _, files = await kept(spool, FILES)
    with pytest.raises(ValueError, match="no token"):
        await spool.remove(token)
    with pytest.raises(ValueError, match="no token"):
        spool.body(token, 0, files[0])
    assert len(await spool.tokens()) == 1


async def test_a_token_given_twice_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    spool = Spool(tmp_path, random=bytes)
    await spool.open()
    async with spool.intake() as intake:
        with pytest.raises(StoreError):
            await kept(spool, [("b", b"other")])
        file = await intake.add("a", arriving(b"first"))
        token = await intake.keep()
    with pytest.raises(StoreError):
        await kept(spool, [("b", b"other")])
    assert token == "0" * 32
    assert await content(spool, token, 0, file) == b"first"


async def test_many_intakes_at_once_stay_apart(spool: Spool) -> None:
    sets = await asyncio.gather(*(kept(spool, [("a", b"%d" % n), ("b", bytes(n))]) for n in range(50)))
    for n, (token, files) in enumerate(sets):
        assert await content(spool, token, 0, files[0]) == b"%d" % n
        assert files[1].size == n
    assert await spool.tokens() == sorted(token for token, _ in sets)


async def test_a_spool_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(StoreUnusable, match=r"can't use the spool in .*spool: "):
        await Spool(tmp_path / "spool").open()
