"""consignee secrets: with a running server, without one, and what it says when something is in the way."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consignee import cli
from consignee.control import NAME
from consignee.sealing_key import load_sealer
from consignee.secret import Sealer, Secret, key_id_of
from consignee.settings import load_settings
from consignee.store.json_file import JsonFileStore
from samples.serving import serving, write_config
from vault import ids_in

Run = Callable[..., tuple[int, list[str], str]]
SPOILT = "AAAA"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with all its files in one place."""
    return write_config(tmp_path, accounts={"ann": "key-a"})


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command, and returns its status, the lines it printed, and what it complained of."""

    def ran(*arguments: str) -> tuple[int, list[str], str]:
        status = cli.main(["secrets", *arguments, "--config", str(config)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return ran


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[tuple[JsonFileStore, Sealer]]:
    """Yield the store, which nobody else has open, and its sealer."""
    settings = load_settings(config, environ={})
    store = JsonFileStore(Path(settings.store.path))
    await store.open()
    try:
        yield store, await load_sealer(settings.secrets, store)
    finally:
        await store.close()


async def fill(config: Path, *, spoilt: int = 0) -> None:
    """Save three documents, of which so many can't be opened."""
    async with opened(config) as (store, sealer):
        for number in range(3):
            sealed = sealer.seal(Secret("canary"), account="ann", id=str(number), revision=1, field="a")
            text = f"{sealer.key_id}:{SPOILT}" if number < spoilt else sealed
            await store.save("destinations", "ann", str(number), {"secrets": {"a": text}})


async def secrets(config: Path) -> list[str]:
    """Open what was saved."""
    async with opened(config) as (store, sealer):
        return [
            sealer.open(one.data["secrets"]["a"], account="ann", id=one.id, revision=one.revision, field="a").reveal()
            for one in await store.list("destinations", "ann")
        ]


def test_without_a_server_it_rotates_and_forgets(config: Path, run: Run) -> None:
    asyncio.run(fill(config))
    (old,) = ids_in(load_settings(config, environ={}).secrets)
    assert run("status") == (0, [f"key {old}: 3 documents (current)"], "")
    status, lines, _ = run("rotate")
    new, _ = ids_in(load_settings(config, environ={}).secrets)
    assert (status, lines) == (0, [f"key {new}: 3 documents (current)", f"key {old}: 0 documents"])
    assert run("rotate", "--resume")[:2] == (0, lines)
    assert run("forget", old) == (0, [f"key {new}: 3 documents (current)"], "")
    assert asyncio.run(secrets(config)) == ["canary"] * 3
    assert run("forget", old) == (2, [], f"consignee: There is no key {old}.\n")


def test_with_a_server_it_does_the_same(config: Path, run: Run) -> None:
    """Which goes on with the new key at once."""
    asyncio.run(fill(config))
    (old,) = ids_in(load_settings(config, environ={}).secrets)
    with serving(config) as server:
        status, lines, _ = run("rotate")
        new, _ = ids_in(load_settings(config, environ={}).secrets)
        kept = int(re.fullmatch(rf"key {new}: (\d+) documents \(current\)", lines[0])[1])  # type: ignore[index]
        assert (status, lines[1:], kept >= 3) == (0, [f"key {old}: 0 documents"], True)
        assert run("status")[:2] == (0, lines)
        assert run("forget", old)[:2] == (0, lines[:1])
        assert run("forget", new) == (2, [], f"consignee: The key {new} is the one that seals: rotate first.\n")
        assert server.stop() == 0
    assert asyncio.run(secrets(config)) == ["canary"] * 3


def test_a_server_says_what_is_wrong_with_its_key_file(config: Path, run: Run) -> None:
    """What others must not hear of, the operator must."""
    settings = load_settings(config, environ={})
    with serving(config):
        Path(settings.secrets.key_file).write_text("hunter2")
        status, lines, complaint = run("rotate")
        assert (status, lines) == (2, [])
        assert f"the key file {settings.secrets.key_file}: a sealing key is 32 bytes" in complaint
        assert "hunter2" not in complaint
        Path(settings.secrets.key_file).unlink()
        assert "is gone: put it back" in run("rotate")[2]
        assert "is gone: put it back" in run("forget", "12345678")[2]


def test_what_could_not_be_sealed_anew_is_a_failure(config: Path, run: Run) -> None:
    """Also if it is only resumed; status 0 is for when nothing is left."""
    asyncio.run(fill(config, spoilt=1))
    (old,) = ids_in(load_settings(config, environ={}).secrets)
    status, lines, _ = run("rotate")
    assert status == 1
    assert lines[1:] == [
        f"key {old}: 1 document",
        "not done: run consignee secrets rotate --resume; the log of the service says what is in the way",
    ]
    assert run("rotate", "--resume")[0] == 1
    assert run("status")[0] == 0
    assert run("rotate", "--new")[0] == 1
    assert len(ids_in(load_settings(config, environ={}).secrets)) == 3


def test_a_key_that_is_known_but_not_there_is_shown_as_missing(config: Path, run: Run) -> None:
    asyncio.run(fill(config))
    path = Path(load_settings(config, environ={}).secrets.key_file)
    old = ids_in(load_settings(config, environ={}).secrets)[0]
    run("rotate")
    path.write_text(path.read_text().splitlines()[0])
    assert run("status")[1][1] == f"key {old}: 0 documents (missing)"
    assert run("forget", old)[0] == 0
    assert len(run("status")[1]) == 1


def test_where_there_is_no_store_it_makes_neither_one_nor_a_key(config: Path, run: Run, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    status, lines, complaint = run("status")
    assert (status, lines) == (2, [])
    assert f"there is no store in {load_settings(config, environ={}).store.path}" in complaint
    assert set(tmp_path.rglob("*")) == before


def test_to_resume_and_to_make_a_key_at_once_makes_no_sense(config: Path, run: Run) -> None:
    asyncio.run(fill(config))
    status, lines, complaint = run("rotate", "--resume", "--new")
    assert (status, lines) == (2, [])
    assert "give one of the two" in complaint


def test_a_key_in_the_environment_is_left_alone(config: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = bytes(32), bytes(range(32))
    Path(load_settings(config, environ={}).secrets.key_file).write_text(old.hex())
    asyncio.run(fill(config))
    monkeypatch.setenv("CONSIGNEE_SECRETS__KEY", old.hex())
    assert run("status")[1] == [f"key {key_id_of(old)}: 3 documents (current)"]
    status, lines, complaint = run("rotate")
    assert (status, lines) == (2, [])
    assert "CONSIGNEE_SECRETS__KEY, where only you can change it: put a new key there" in complaint
    assert old.hex() not in complaint
    monkeypatch.setenv("CONSIGNEE_SECRETS__KEY", f"{new.hex()} {old.hex()}")
    assert run("rotate", "--resume")[1] == [
        f"key {key_id_of(new)}: 3 documents (current)",
        f"key {key_id_of(old)}: 0 documents",
    ]


def test_a_server_that_goes_away_is_told_of(config: Path, run: Run) -> None:
    """Without a traceback."""
    place = Path(load_settings(config, environ={}).store.path)
    place.mkdir(mode=0o700)
    (place / "sealing_keys.jsonl").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / NAME))
        listener.listen()
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        status, lines, complaint = run("rotate")
        thread.join()
    assert (status, lines) == (2, [])
    assert complaint == "consignee: the service ended before this was done: run it again\n"


def hang_up(listener: socket.socket) -> None:
    """Close two connections at once: the one that only looks, and the one that asks."""
    for _ in range(2):
        listener.accept()[0].close()
