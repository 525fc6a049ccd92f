"""Files that are longer than a part: the digests of their parts are made when they are taken in, and lie beside them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from consignee.digests import SECTION_BYTES
from consignee.errors import FileDamaged
from consignee.providers.base import Checkpoint
from consignee.testing.large import Stopped, StoppingCheckpoint
from consignee.transport import Parts
from delivery.spooling import kept, lying_in, opened
from delivery.test_damaged_files import flip
from providers.scripted_bucket import PARTS, ScriptedBucket

CONTENT = random.Random(20261122).randbytes(SECTION_BYTES + 1000)
IN_SECTIONS = replace(PARTS, threshold=SECTION_BYTES, size=SECTION_BYTES, at_once=1)
IN_OTHERS = replace(IN_SECTIONS, size=SECTION_BYTES // 2)


async def test_only_a_file_of_several_sections_has_their_digests_beside_it(tmp_path: Path) -> None:
    """They go with it when it is removed."""
    spool = await opened(tmp_path)
    token, _ = await kept(spool, [("a", CONTENT), ("b", CONTENT[:SECTION_BYTES])])
    assert lying_in(tmp_path / "kept") == [f"{token}/0", f"{token}/0.sections", f"{token}/1"]
    await spool.remove(token)
    assert lying_in(tmp_path / "kept") == []
    await spool.close()


@pytest.mark.parametrize("sectioned", [True, False])
@pytest.mark.parametrize("parts", [IN_SECTIONS, IN_OTHERS], ids=["in sections", "in other parts"])
async def test_it_arrives_with_them_and_without(tmp_path: Path, parts: Parts, *, sectioned: bool) -> None:
    """As after a restore, for a backup holds the files alone, or where parts of another size are asked for."""
    spool = await opened(tmp_path)
    token, files = await kept(spool, [("a", CONTENT)])
    if not sectioned:
        (tmp_path / "kept" / token / "0.sections").unlink()
    bucket = ScriptedBucket(parts)
    await bucket.put("key", spool.body(token, 0, files[0]))
    assert bucket.objects == {"key": CONTENT}
    await spool.close()


@pytest.mark.parametrize("place", [0, SECTION_BYTES - 1, SECTION_BYTES, len(CONTENT) - 1])
@pytest.mark.parametrize("parts", [IN_SECTIONS, IN_OTHERS], ids=["in sections", "in other parts"])
async def test_damage_is_noticed_wherever_it_is(tmp_path: Path, parts: Parts, place: int) -> None:
    spool = await opened(tmp_path)
    token, files = await kept(spool, [("a", CONTENT)])
    flip(tmp_path / "kept" / token / "0", place, 3)
    bucket = ScriptedBucket(parts)
    with pytest.raises(FileDamaged):
        await bucket.put("key", spool.body(token, 0, files[0]))
    assert (bucket.objects, bucket.uploads) == ({}, {})
    await spool.close()


async def test_what_was_sent_before_it_was_damaged_is_not_looked_at_again(tmp_path: Path) -> None:
    """Each part that arrived was what was taken in, so the object is, too; what is sent from now on is looked at."""
    spool = await opened(tmp_path)
    token, files = await kept(spool, [("a", CONTENT)])
    bucket, stopping = ScriptedBucket(IN_SECTIONS), StoppingCheckpoint(after=2)
    with pytest.raises(Stopped):
        await bucket.put("key", spool.body(token, 0, files[0]), stopping)
    flip(tmp_path / "kept" / token / "0", 5, 3)
    await bucket.put("key", spool.body(token, 0, files[0]), Checkpoint(stopping.state))
    assert bucket.objects == {"key": CONTENT}
    await spool.close()


async def test_what_was_sent_without_them_is_looked_at_though_they_are_there_again(tmp_path: Path) -> None:
    """Its parts had the digests of what was read, which was no longer what was taken in."""
    spool = await opened(tmp_path)
    token, files = await kept(spool, [("a", CONTENT)])
    file, beside = tmp_path / "kept" / token / "0", tmp_path / "kept" / token / "0.sections"
    whole = beside.read_bytes()
    flip(file, 5, 3)
    beside.write_bytes(whole[1:])
    bucket, stopping = ScriptedBucket(IN_SECTIONS), StoppingCheckpoint(after=2)
    with pytest.raises(Stopped):
        await bucket.put("key", spool.body(token, 0, files[0]), stopping)
    beside.write_bytes(whole)
    with pytest.raises(FileDamaged):
        await bucket.put("key", spool.body(token, 0, files[0]), Checkpoint(stopping.state))
    assert bucket.objects == {}
    await spool.close()


async def test_digests_that_can_not_be_read_hold_up_no_file(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    token, files = await kept(spool, [("a", CONTENT)])
    beside = tmp_path / "kept" / token / "0.sections"
    beside.unlink()
    beside.mkdir()
    bucket = ScriptedBucket(IN_SECTIONS)
    await bucket.put("key", spool.body(token, 0, files[0]))
    assert bucket.objects == {"key": CONTENT}
    await spool.close()
