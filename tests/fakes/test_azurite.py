"""That Azurite checks what Azure checks, how it is installed and started, and that nothing of it stays."""

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, TCPConnector
from azure.storage.blob import generate_blob_sas
from yarl import URL

from consignee.demo.azurite import AzuriteServer, azurite_process, install, running_azurite
from consignee.errors import ConsigneeError
from fakes.certificates import Authority
from fakes.hostile import refusing

ACCOUNT, OTHER, CONTAINER = "demoaccount", "otheraccount", "demo-container"
KEYS = {ACCOUNT: "c2VjcmV0LWtleQ=="}
PARENT = f"""
import sys, time
from pathlib import Path
from consignee.demo.azurite import azurite_process
with azurite_process({KEYS!r}, directory=Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""
NPM = """#!/bin/sh
printf x >> "$CALLS"
[ -z "$BROKEN" ] || { echo "npm error $BROKEN" >&2; exit 1; }
for last; do :; done
main="${last#--prefix=}/node_modules/azurite/dist/src/blob"
mkdir -p "$main" && sleep 0.2 && echo >"$main/main.js"
"""
ODD = ["a b", "a+b", "a%b", "a%20b", "x/y/z", ".dot", "a//b", "#?&=;", "ünï/çödé", "日本", "empty"]


def sas(server: AzuriteServer, blob: str = "blob", **changed: Any) -> str:
    """Return a signature for the blob, good unless something is changed."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "account_name": ACCOUNT,
        "container_name": CONTAINER,
        "blob_name": blob,
        "permission": "cwd",
    }
    given |= {"account_key": server.accounts[ACCOUNT], "start": now - timedelta(minutes=5)}
    return generate_blob_sas(**given | {"expiry": now + timedelta(minutes=5)} | changed)


@pytest.fixture
async def session(ca: Authority) -> AsyncIterator[ClientSession]:
    """A client that trusts the tests' authority."""
    async with ClientSession(connector=TCPConnector(ssl=ca.client_context())) as session:
        yield session


async def send(
    session: ClientSession, method: str, url: str, query: str, body: bytes | None = None
) -> tuple[int, str | None]:
    """Send the request to that URL as it is, and return the status and the error code."""
    headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
    async with session.request(method, URL(f"{url}?{query}", encoded=True), data=body, headers=headers) as response:
        return response.status, response.headers.get("x-ms-error-code")


def place(server: AzuriteServer, blob: str = "blob", *, account: str = ACCOUNT, container: str = CONTAINER) -> str:
    """Return the URL of the blob."""
    return f"{server.url}/{account}/{container}/{quote(blob, safe='/')}"


@pytest.mark.parametrize("name", ODD)
async def test_a_good_signature_writes_replaces_and_deletes(
    azurite: AzuriteServer, session: ClientSession, name: str
) -> None:
    """Also blobs with odd names, which are kept as they are."""
    body = b"" if name == "empty" else f"body of {name}".encode()
    for content in (b"the first", body):
        assert await send(session, "PUT", place(azurite, name), sas(azurite, name), content) == (201, None)
    assert await azurite.read(ACCOUNT, CONTAINER, name) == body
    assert name in await azurite.blobs(ACCOUNT, CONTAINER)
    assert await send(session, "DELETE", place(azurite, name), sas(azurite, name)) == (202, None)
    assert name not in await azurite.blobs(ACCOUNT, CONTAINER)
    assert await send(session, "DELETE", place(azurite, name), sas(azurite, name)) == (404, "BlobNotFound")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"account_key": "d3JvbmcgYWNjb3VudCBrZXk="}, id="wrong key"),
        pytest.param({"blob_name": "another"}, id="another blob"),
        pytest.param({"container_name": "another"}, id="another container"),
        pytest.param({"expiry": timedelta(seconds=-1)}, id="expired"),
        pytest.param({"start": timedelta(minutes=4)}, id="not yet valid"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_bad_signature_is_refused(
    azurite: AzuriteServer, session: ClientSession, method: str, changed: dict[str, Any]
) -> None:
    """The code is Azurite's own: Azure says AuthenticationFailed."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        name: now + value if isinstance(value, timedelta) else value for name, value in changed.items()
    }
    query = sas(azurite, **values)
    assert await send(session, method, place(azurite), query, b"x") == (403, "AuthorizationFailure")


async def test_a_signature_that_was_widened_is_refused(azurite: AzuriteServer, session: ClientSession) -> None:
    query = sas(azurite, permission="cw").replace("sp=cw&", "sp=cwd&")
    assert await send(session, "DELETE", place(azurite), query) == (403, "AuthorizationFailure")
    assert await send(session, "DELETE", place(azurite), "") == (403, "AuthorizationFailure")


@pytest.mark.parametrize(("method", "rights"), [("DELETE", "cw"), ("PUT", "d"), ("PUT", "r")])
async def test_a_right_that_was_not_given_is_missed(
    azurite: AzuriteServer, session: ClientSession, method: str, rights: str
) -> None:
    answered = await send(session, method, place(azurite), sas(azurite, permission=rights), b"x")
    assert answered == (403, "AuthorizationPermissionMismatch")


async def test_a_signature_for_https_only_is_refused_over_http(azurite: AzuriteServer, session: ClientSession) -> None:
    answered = await send(session, "PUT", place(azurite), sas(azurite, protocol="https"), b"x")
    assert answered == (403, "AuthorizationProtocolMismatch")


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ({"container": "no-such-one"}, (404, "ContainerNotFound")),
        ({"container": "Not_A_Name"}, (400, "InvalidResourceName")),
        ({"account": "nobody"}, (404, "ResourceNotFound")),
        ({"account": OTHER}, (403, "AuthorizationFailure")),
    ],
    ids=str,
)
async def test_a_place_that_is_not_there_is_named(
    azurite: AzuriteServer, session: ClientSession, where: dict[str, str], answer: tuple[int, str]
) -> None:
    """An unknown account has no address at Azure, and no answer therefore; another's account refuses our key."""
    signed = {f"{name}_name": value for name, value in where.items()}
    assert await send(session, "PUT", place(azurite, **where), sas(azurite, **signed), b"x") == answer


async def test_what_the_server_refuses_us_is_an_error(azurite: AzuriteServer) -> None:
    with pytest.raises(ConsigneeError, match="ContainerNotFound"):
        await azurite.blobs(ACCOUNT, "no-such-one")
    with pytest.raises(ConsigneeError, match="BlobNotFound"):
        await azurite.read(ACCOUNT, CONTAINER, "no such blob")
    impostor = AzuriteServer(azurite.url, {OTHER: azurite.accounts[ACCOUNT]})
    with pytest.raises(ConsigneeError, match="AuthorizationFailure"):
        await impostor.create_container(OTHER, "some-container")


def test_keys_are_not_shown(azurite: AzuriteServer) -> None:
    assert [key for key in azurite.accounts.values() if key in repr(azurite)] == []
    assert len(azurite.accounts) == 2


async def test_it_speaks_https_alone_if_it_is_given_a_certificate(
    azurite_directory: Path, ca: Authority, session: ClientSession
) -> None:
    """And it runs only while it is needed: afterwards nobody listens at the port."""
    async with running_azurite(KEYS, directory=azurite_directory, certificate=(ca.cert, ca.key)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        await server.create_container(ACCOUNT, CONTAINER)
        assert await send(session, "PUT", place(server), sas(server, protocol="https"), b"x") == (201, None)
        assert await server.blobs(ACCOUNT, CONTAINER) == ["blob"]
        assert await server.read(ACCOUNT, CONTAINER, "blob") == b"x"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))


def test_it_ends_with_its_parent_even_if_that_is_killed(azurite_directory: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(azurite_directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent, ExitStack() as opened:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"http://127.0.0.1:")
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert len(children) == 1
        child = os.pidfd_open(int(children[0]))
        opened.callback(os.close, child)
        parent.kill()
        assert select.select([child], [], [], 30)[0] == [child]


async def test_what_it_says_when_it_fails_is_shown(azurite_directory: Path, tmp_path: Path) -> None:
    certificate = (tmp_path / "no.pem", tmp_path / "no.key")
    with pytest.raises(ConsigneeError, match=r"Azurite did not come up .* ENOENT.*no\.pem"):
        async with running_azurite(KEYS, directory=azurite_directory, certificate=certificate):
            pass


def test_too_slow_a_start_is_given_up(azurite_directory: Path) -> None:
    with (
        pytest.raises(ConsigneeError, match="Azurite did not come up within 0 s"),
        azurite_process(KEYS, directory=azurite_directory, seconds=0),
    ):
        pass


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that installs next to nothing, and writes a letter into this file each time."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("node", "npm"):
        (programs / name).write_text(NPM)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_it_is_installed_once_whoever_asks(tmp_path: Path, fake_npm: Path) -> None:
    directory = tmp_path / "cache" / "azurite"
    with ThreadPoolExecutor() as pool:
        programs = set(pool.map(lambda _: install(directory), range(4)))
    assert programs == {directory / "node_modules/azurite/dist/src/blob/main.js"}
    assert all(program.is_file() for program in programs)
    assert fake_npm.read_text() == "x"
    assert sorted(path.name for path in directory.parent.iterdir()) == ["azurite", "azurite.lock"]


def test_an_installation_that_was_broken_off_is_repeated(tmp_path: Path, fake_npm: Path) -> None:
    (tmp_path / "azurite.partial" / "node_modules" / "azurite").mkdir(parents=True)
    (tmp_path / "azurite" / "node_modules").mkdir(parents=True)
    assert install(tmp_path / "azurite").is_file()
    assert fake_npm.read_text() == "x"
    assert not (tmp_path / "azurite.partial").exists()


def test_a_failed_installation_says_why_and_leaves_nothing(
    tmp_path: Path, fake_npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "ENOSPC: no space left")
    with pytest.raises(ConsigneeError, match=r"npm could not install azurite: npm error ENOSPC: no space left"):
        install(tmp_path / "azurite")
    assert fake_npm.read_text() == "x"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["programs"]


def test_an_npm_that_takes_too_long_is_given_up(tmp_path: Path, fake_npm: Path) -> None:
    """The npm of this test takes a fifth of a second at least."""
    with pytest.raises(ConsigneeError, match=r"npm could not install azurite within 0\.1 s"):
        install(tmp_path / "azurite", seconds=0.1)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["programs"]


def test_a_registry_that_does_not_answer_is_told(
    azurite_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real npm, whose own retries must not take minutes; it is there, as Azurite could be installed."""
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    with refusing() as url:
        monkeypatch.setenv("npm_config_registry", url)
        with pytest.raises(ConsigneeError, match=r"npm could not install azurite: [^$]*ECONNREFUSED"):
            install(tmp_path / "azurite")


@pytest.mark.parametrize("absent", ["node", "npm"])
def test_without_node_it_says_so(tmp_path: Path, fake_npm: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    programs = tmp_path / "programs"
    (programs / absent).unlink()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ConsigneeError, match=f"Azurite needs Node.js, and {absent} is not installed"):
        install(tmp_path / "azurite")
    assert not fake_npm.exists()


def test_once_installed_it_needs_no_npm(tmp_path: Path, fake_npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "azurite")
    (tmp_path / "programs" / "npm").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    assert install(tmp_path / "azurite").is_file()
    assert fake_npm.read_text() == "x"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_these_tests_are_skipped_without_node_but_ci_insists(tmp_path: Path, ci: str, outcome: str) -> None:
    """And either way it is said why."""
    test = f"{__file__}::{test_keys_are_not_shown.__name__}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:cov", test]
    environment = {**os.environ, "PATH": str(tmp_path), "CI": ci}
    ended = subprocess.run(command, capture_output=True, timeout=120, env=environment, text=True)
    assert outcome in ended.stdout.splitlines()[-1]
    assert "no tests against Azurite: Azurite needs Node.js, and node is not installed" in ended.stdout
    assert ended.returncode == (1 if ci else 0)
