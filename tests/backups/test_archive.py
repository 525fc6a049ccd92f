"""A backup as a file: read by others, and refused unless it is whole to the last bit."""

import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backups.filled import FILES, back_up, fill, settings_of
from consignee.backups import BackupUnusable
from consignee.backups.archive import Source, archived, trailer
from consignee.backups.restoring import restore
from consignee.backups.verifying import check_seal, members_of, read_manifest
from consignee.errors import StoreError


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    """A backup of some documents and files."""
    await fill(tmp_path / "old")
    return await back_up(tmp_path / "old", tmp_path / "backup.tar")


def source(name: str, content: bytes, *, size: int | None = None) -> Source:
    """Return a member to be with that content."""
    return Source(name, len(content) if size is None else size, lambda: io.BytesIO(content))


def forged(path: Path, members: Mapping[str, bytes], about: Mapping[str, Any] | None = None) -> Path:
    """Write a sealed backup with these members, whatever they are."""
    told = {"consignee": "1.2.3", "created_at": "2026-03-01T12:00:00.000Z", "files": True, **(about or {})}
    path.write_bytes(b"".join(archived([source(*one) for one in members.items()], told)))
    return path


def test_others_can_read_a_backup(backup: Path) -> None:
    """It is an ordinary archive; what its manifest says of the members can be checked with sha256sum."""
    with tarfile.open(backup) as archive:
        content = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    manifest = json.loads(content.pop("manifest.json"))
    assert content.pop("SEAL").decode().strip() in hashlib.sha256(backup.read_bytes()[:-2048]).hexdigest()
    assert (manifest["format"], manifest["consignee"]) == (1, "1.2.3")
    assert manifest["created_at"] == "2026-03-01T12:00:00.000Z"
    assert {one["name"]: (one["size"], one["sha256"]) for one in manifest["members"]} == {
        name: (len(text), hashlib.sha256(text).hexdigest()) for name, text in content.items()
    }
    assert sorted(text for name, text in content.items() if name.startswith("spool/")) == sorted(FILES.values())
    listed = subprocess.run(["tar", "tf", backup], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    assert set(listed.stdout.split()) == {*content, "manifest.json", "SEAL"}


async def test_a_backup_that_was_cut_short_is_refused_and_nothing_written(backup: Path, tmp_path: Path) -> None:
    """At every block and in between, and at every byte of the last block but the end mark."""
    whole = backup.read_bytes()
    cuts = [*range(0, len(whole), 32), *range(len(whole) - 1536, len(whole) - 1024)]
    for length in cuts:
        backup.write_bytes(whole[:length])
        with pytest.raises(BackupUnusable, match="cut short or altered"):
            await restore(backup, settings_of(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    print(f"{len(cuts)} cuts, all refused")  # noqa: T201


async def test_a_backup_with_a_flipped_bit_is_refused_and_nothing_written(backup: Path, tmp_path: Path) -> None:
    whole, chance = backup.read_bytes(), random.Random(1)
    last = len(whole) - 2048
    bits = [*chance.sample(range(last * 8), 800), *(last * 8 + bit for bit in chance.sample(range(2048 * 8), 200))]
    for bit in bits:
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        backup.write_bytes(altered)
        with pytest.raises(BackupUnusable, match="cut short or altered"):
            await restore(backup, settings_of(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    print(f"{len(bits)} flipped bits, all refused")  # noqa: T201


async def test_what_follows_a_backup_makes_it_unusable(backup: Path, tmp_path: Path) -> None:
    backup.write_bytes(backup.read_bytes() + bytes(512))
    with pytest.raises(BackupUnusable, match="cut short or altered"):
        await restore(backup, settings_of(tmp_path / "new"))


@pytest.mark.parametrize(
    "name",
    [
        "store/../../escaped.jsonl",
        "../escaped",
        "/etc/escaped",
        "store/Upper.jsonl",
        "store/a.jsonl/b",
        "store/lock",
        "spool/aa/../../x",
        "spool/aa/01",
        "spool/AA/1",
        "spool/aa/1\n",
        "secret.key",
        "SEAL",
    ],
)
async def test_a_name_that_does_not_belong_into_a_backup_is_refused(tmp_path: Path, name: str) -> None:
    """Also in one whose seal is right, so that somebody made it on purpose: nothing leaves the two directories."""
    path = forged(tmp_path / "backup.tar", {name: b"x"})
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(BackupUnusable):
        await restore(path, settings_of(tmp_path / "new"))
    assert {path.name for path in tmp_path.iterdir()} - before == {"new"}
    assert {one.name for one in (tmp_path / "new").rglob("*")} <= {"store", "spool", "lock"}


async def test_files_in_a_backup_without_files_are_refused(tmp_path: Path) -> None:
    """The spool is neither locked nor looked at for such a one."""
    path = forged(tmp_path / "backup.tar", {"spool/aa/0": b"x"}, {"files": False})
    with pytest.raises(BackupUnusable, match="does not belong into a backup"):
        await restore(path, settings_of(tmp_path / "new"))
    assert {one.name for one in (tmp_path / "new").rglob("*")} == {"store", "lock"}


async def test_what_is_not_a_plain_file_is_refused(tmp_path: Path) -> None:
    """A link to elsewhere, through which the next member would be written."""
    info = tarfile.TarInfo("store/destinations.jsonl")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    manifest = json.dumps(
        {
            "format": 1,
            "consignee": "1",
            "created_at": "",
            "files": True,
            "members": [{"name": info.name, "size": 0, "sha256": hashlib.sha256().hexdigest()}],
        }
    ).encode()
    last = tarfile.TarInfo("manifest.json")
    last.size = len(manifest)
    body = info.tobuf() + last.tobuf() + manifest + bytes(-len(manifest) % 512)
    path = tmp_path / "backup.tar"
    path.write_bytes(body + trailer(hashlib.sha256(body).hexdigest()))
    check_seal(path)
    with pytest.raises(BackupUnusable):
        await restore(path, settings_of(tmp_path / "new"))
    assert not list((tmp_path / "new" / "store").glob("*.jsonl"))


@pytest.mark.parametrize(
    "body",
    [b"", bytes(1024), b"x" * 1024],
    ids=["no member", "no manifest", "no archive"],
)
def test_a_sealed_file_that_is_no_backup_is_refused(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "backup.tar"
    path.write_bytes(body + trailer(hashlib.sha256(body).hexdigest()))
    with pytest.raises(BackupUnusable):
        read_manifest(path)


async def test_a_member_that_the_manifest_describes_otherwise_is_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "backup.tar", {"store/destinations.jsonl": b"right"})
    body = path.read_bytes()[:-2048].replace(b"right", b"wrong")
    path.write_bytes(body + trailer(hashlib.sha256(body).hexdigest()))
    with pytest.raises(BackupUnusable, match="cut short or altered"):
        await restore(path, settings_of(tmp_path / "new"))
    assert not list((tmp_path / "new" / "store").rglob("*.jsonl"))


def test_a_manifest_that_names_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "backup.tar", {"store/destinations.jsonl": b"right"})
    manifest = read_manifest(path)
    more = {**manifest.members, "store/collections.jsonl": (0, "")}
    found = members_of(path, replace(manifest, members=more))
    assert b"".join(next(found).pieces) == b"right"
    with pytest.raises(BackupUnusable, match="cut short or altered"):
        next(found)


@pytest.mark.parametrize("header", [0, 1024], ids=["first", "second"])
def test_a_member_that_can_not_be_found_any_more_is_refused(tmp_path: Path, header: int) -> None:
    """As when the file is changed between the first reading and the second."""
    path = forged(tmp_path / "backup.tar", {"store/destinations.jsonl": b"right", "store/collections.jsonl": b"right"})
    manifest, altered = read_manifest(path), bytearray(path.read_bytes())
    altered[header + 100] ^= 1
    path.write_bytes(altered)
    found = (b"".join(member.pieces) for member in members_of(path, manifest))
    with pytest.raises(BackupUnusable, match="cut short or altered"):
        list(found)


async def test_a_backup_of_a_newer_version_is_refused_by_its_format(tmp_path: Path) -> None:
    path = forged(tmp_path / "backup.tar", {}, {"format": 2})
    with pytest.raises(BackupUnusable, match=r"another version of consignee \(format 2\)"):
        await restore(path, settings_of(tmp_path / "new"))


async def test_a_backup_whose_store_does_not_open_is_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "backup.tar", {"store/destinations.jsonl": b"not a log\n", "spool/aa/0": b"x"})
    with pytest.raises(BackupUnusable, match=r"does not open: .*line 1"):
        await restore(path, settings_of(tmp_path / "new"))
    assert {one.name for one in (tmp_path / "new").rglob("*")} <= {"store", "spool", "lock"}


def test_a_source_that_became_shorter_is_no_backup() -> None:
    pieces = archived([source("store/destinations.jsonl", b"short", size=6)], {})
    with pytest.raises(StoreError, match="lacks 1 of 6 bytes"):
        list(pieces)


async def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await restore(tmp_path / "none.tar", settings_of(tmp_path / "new"))
