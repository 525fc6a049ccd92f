"""What holds customers' data is the operator's alone: made so, and refused when it is not."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from consignee.delivery.spool import Spool
from consignee.errors import SettingsError, StoreUnusable
from consignee.key_ring import KeyRing
from consignee.sections import SecretsSettings
from consignee.store.json_file import JsonFileStore
from consignee.store.private import objection, require_private
from samples.serving import environment, write_config

FILLING = """
import asyncio, os, sys
from dataclasses import replace
from consignee import load_settings, open_destinations
from pathlib import Path

async def main():
    async with open_destinations(load_settings(Path(sys.argv[1]))) as destinations:
        collections = destinations.dispatch.collections
        collection = await collections.create("ann", {"name": "C", "destination_ids": []})
        await destinations.deliver("ann", collection.id, [("a.txt", b"content")])

os.umask(int(sys.argv[2], 8))
asyncio.run(main())
"""
PLACES = [
    "store",
    "store/collections.jsonl",
    "store/lock",
    "store/spool",
    "store/spool/lock",
    "store/spool/owner",
    "store/spool/kept",
    "store/spool/kept/*",
    "store/spool/kept/*/0",
    "secret.key",
]


def config_in(directory: Path) -> Path:
    """Write a configuration whose key is not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    config = write_config(directory, accounts={})
    (directory / "secret.key").unlink()
    return config


def fill(config: Path, umask: int = 0o022) -> None:
    """Have a process with that umask make a store, a key, and a result set."""
    command = [sys.executable, "-c", FILLING, str(config), f"{umask:o}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr


def serve(config: Path) -> subprocess.CompletedProcess[str]:
    """Start the server, which is to refuse to."""
    command = [sys.executable, "-m", "consignee", "serve", "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment())


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377], ids=oct)
def test_everything_is_made_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """0377 would take from the owner what it needs."""
    config = config_in(tmp_path / "new")
    config.write_text(config.read_text().replace("/store", "/above/store").replace("/secret.key", "/beside/secret.key"))
    fill(config, umask)
    made = [path for path in (tmp_path / "new").rglob("*") if path != config]
    assert {"store", "beside", "spool", "kept", "lock", "owner", "secret.key", "0"} <= {path.name for path in made}
    loose = {
        str(path): oct(path.stat().st_mode) for path in made if path.is_file() and path.stat().st_mode & 0o777 != 0o600
    }
    loose |= {
        str(path): oct(path.stat().st_mode) for path in made if path.is_dir() and path.stat().st_mode & 0o777 != 0o700
    }
    assert loose == {}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a configuration, a store, a spool with a file, and a key."""
    directory = tmp_path_factory.mktemp("filled")
    fill(config_in(directory))
    return directory


async def open_all(directory: Path) -> None:
    """Open the key ring, the store and the spool, as a start does."""
    KeyRing(SecretsSettings(key_file=str(directory / "secret.key"))).read()
    store, spool = JsonFileStore(directory / "store"), Spool(directory / "store" / "spool")
    try:
        await store.open()
        await spool.open()
    finally:
        await spool.close()
        await store.close()


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001], ids=oct)
@pytest.mark.parametrize("place", PLACES)
async def test_what_others_may_reach_is_refused_with_the_command_that_mends_it(
    filled: Path, place: str, bit: int
) -> None:
    """Each bit of each: one sentence with the path, its mode and the command; after that command it opens.

    Of the spool, one command mends all that is in it.
    """
    (path,) = filled.glob(place)
    path.chmod(path.stat().st_mode | bit)
    with pytest.raises((StoreUnusable, SettingsError)) as refused:
        await open_all(filled)
    said = str(refused.value)
    assert f"{path} has mode {path.stat().st_mode & 0o777:04o}" in said
    mending = shlex.split(said.rpartition(": ")[2])
    whole = filled / "store/spool" if place.startswith("store/spool/") else path
    assert mending[0] == "chmod" and mending[-1] == str(whole)
    subprocess.run(mending, check=True)
    await open_all(filled)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", PLACES)
async def test_root_is_told_to_run_as_who_owns_it(filled: Path, place: str) -> None:
    """Given to root, it would be out of reach of the service that runs as that user."""
    (path,) = filled.glob(place)
    os.chown(path, 65534, -1)
    with pytest.raises((StoreUnusable, SettingsError)) as refused:
        await open_all(filled)
    os.chown(path, 0, -1)
    said = f"{path} belongs to user 65534, and this runs as root: run it as that user: sudo -u '#65534'"
    assert said in str(refused.value)
    await open_all(filled)


@pytest.mark.parametrize("place", ["store", "store/spool/kept", "secret.key"])
def test_the_server_refuses_to_start_with_one_sentence(filled: Path, place: str) -> None:
    path = filled / place
    path.chmod(path.stat().st_mode | 0o044)
    done = serve(filled / "consignee.toml")
    path.chmod(path.stat().st_mode & ~0o044)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("consignee: ")]
    assert str(path) in line
    assert "Traceback" not in done.stderr


def test_a_path_with_spaces_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "my store"
    path.mkdir(mode=0o755)
    again = "(under systemd, set StateDirectoryMode=0700 too)"
    assert objection(path) == f"{path} has mode 0755, so that others may reach it {again}: chmod -R go= '{path}'"


def test_what_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    require_private(tmp_path / "none", tmp_path)
    assert not (tmp_path / "none").exists()


@pytest.fixture
def nobody() -> Iterator[int]:
    """Any user but root, whose id this is, as whom the test runs."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield os.geteuid()
    os.seteuid(before)


def test_what_belongs_to_somebody_else_is_refused(nobody: int) -> None:
    assert objection(Path("/")) == f"/ belongs to user 0, not to user {nobody}, as whom this runs: chown -R {nobody} /"


@pytest.fixture
def of_root() -> Iterator[Path]:
    """A file of root's in a directory that everybody may look into."""
    if os.geteuid() != 0:
        pytest.skip("only root has files of root's")
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        (path := Path(directory, "key")).write_text("00" * 32)
        yield path


@pytest.mark.parametrize(("mode", "is_fine"), [(0o400, True), (0o440, True), (0o460, False), (0o444, False)])
def test_a_key_file_may_be_roots_for_the_group_to_read(
    of_root: Path, request: pytest.FixtureRequest, mode: int, is_fine: bool
) -> None:
    """So a container gets its secrets, through links too; anything else must be one's own."""
    of_root.chmod(mode)
    (link := of_root.with_name("link")).symlink_to(of_root)
    request.getfixturevalue("nobody")
    mending = f"{link} has mode {mode:04o}, so that others may reach it: chmod g-wx,o= {link}"
    assert objection(link, handed_over=True) == (None if is_fine else mending)
    assert "belongs to user 0" in str(objection(link))


def test_a_key_file_that_is_refused_can_be_done_without(tmp_path: Path) -> None:
    """Where its mode can't be changed, the variable takes its place."""
    (tmp_path / "key").touch(mode=0o644)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(SettingsError, match=r"\(CONSIGNEE_SECRETS__KEY can take its place\): .*/key has mode 0644"):
        KeyRing(SecretsSettings(key_file=str(tmp_path / "key"))).read()


def test_a_key_that_can_not_be_put_in_place_is_not_left_beside_it(tmp_path: Path) -> None:
    """As where the file alone is mounted; the reason is said, and what to do."""
    (tmp_path / "key").mkdir()
    with pytest.raises(SettingsError, match=r"can't be written: Is a directory; .* by hand"):
        KeyRing(SecretsSettings(key_file=str(tmp_path / "key"))).write([bytes(32)])
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]
