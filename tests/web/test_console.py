"""The web console as it is served: whole, from the package, and without anything that is not its own."""

import asyncio
import gzip
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from consignee import path_prefix
from consignee.egress import Policy
from consignee.providers import s3compatible
from consignee.settings import Settings
from consignee.web import console, setup, static
from consignee.web.keys import SESSIONS

from .conftest import Client, Start

FILES = static.folder(console.FOLDER)
SOURCES = {name: file.plain.decode() for name, file in FILES.items()}
SCRIPTS = [name for name in FILES if name.endswith(".js")]
IMPORT = re.compile(r"""(?:from |import\()"\./([\w-]+\.js)\"""")
NODE = shutil.which("node")


def needed(name: str) -> set[str]:
    """Return the modules that one is made of, itself among them; what is imported only when it is called is not."""
    found, left = set(), [name]
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            left += re.findall(r"""from "\./([\w-]+\.js)\"""", SOURCES[one])
    return found


@pytest.mark.parametrize("name", ["", *FILES])
async def test_every_file_is_served_as_it_is_under_a_strict_policy(start: Start, name: str) -> None:
    """And without any API key."""
    client = await start(key=None)
    async with client.get(f"/console/{name}", headers={"Accept-Encoding": "identity"}) as response:
        assert response.status == 200
        assert await response.read() == FILES[name or "index.html"].plain
        assert response.headers["Content-Type"] == FILES[name or "index.html"].type
        assert response.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_client_that_can_take_it_gets_it_compressed(client: Client) -> None:
    async with client.get("/console/app.js", headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(await response.read()) == FILES["app.js"].plain


@pytest.mark.parametrize("accepted", ["", "identity", "br", "x-gzip", "gzip;q=0", "br, GZIP ; q=0.000"])
async def test_a_client_that_can_not_or_will_not_take_it_gets_it_as_it_is(client: Client, accepted: str) -> None:
    headers = {"Accept-Encoding": accepted}
    async with client.get("/console/app.js", headers=headers, auto_decompress=False) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.read() == FILES["app.js"].plain
    async with client.get("/console/app.js", headers={"Accept-Encoding": "br;q=0, gzip;q=0.1"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2fweb%2fauth.py", "%2e%2e", "login"])
async def test_nothing_else_is_served(client: Client, name: str) -> None:
    response = await client.get(f"/console/{name}")
    assert response.status == 404
    assert (await response.json())["request_info"]["code"] == "not_found"


@pytest.mark.parametrize("prefix", ["/storage", "/a/b"])
async def test_it_is_found_under_any_prefix(settings: Settings, prefix: str) -> None:
    app = web.Application()
    setup(app, settings, prefix=prefix)
    async with TestClient(TestServer(app)) as client:
        async with client.get(f"{prefix}/console") as response:
            assert response.url.path == f"{prefix}/console/"
            assert await response.text() == SOURCES["index.html"]
        assert (await client.get(f"{prefix}/console/app.js")).status == 200


@pytest.mark.parametrize("name", FILES)
def test_a_file_refers_to_nothing_that_is_not_there(name: str) -> None:
    """Neither to another site nor to a file that is missing, and never from the root, which may be somebody else's."""
    text = SOURCES[name]
    assert set(IMPORT.findall(text)) <= set(FILES)
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', text) if name.endswith(".html") else []
    assert set(links) <= set(FILES)
    assert not re.search(r"url\(|@import", SOURCES["style.css"])
    assert not re.search(r"""(?:from |import\(|fetch\()["'`](?!\./)""", text)


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    page = SOURCES["index.html"]
    assert re.findall(r"<script([^>]*)>", page) == [' type="module" src="app.js"']
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert page.count('rel="stylesheet"') == 1


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_text_of_text_alone(name: str) -> None:
    """What a customer enters never becomes markup, and a key never becomes a part of an address."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|localStorage|api_key"
    )
    assert not re.search(forbidden, SOURCES[name])
    assert not re.search(r"[{,]\s*style:", SOURCES[name])


def test_every_file_is_used() -> None:
    used = {"index.html", *re.findall(r'(?:src|href)="([\w.-]+)"', SOURCES["index.html"])}
    used |= {name for text in SOURCES.values() for name in IMPORT.findall(text)}
    assert used == set(FILES)


def test_it_is_small() -> None:
    """All of it together as it is sent, and each screen with the frame around it as it is parsed."""
    assert sum(len(file.zipped) for file in FILES.values()) < 100_000
    frame = needed("app.js") | {"index.html", "style.css", "icon.svg"}
    for screen in re.findall(r'import\("\./([\w-]+\.js)"\)', SOURCES["app.js"]):
        assert sum(len(FILES[name].plain) for name in frame | needed(screen)) < 100_000, screen


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "module.mjs").write_text(SOURCES[name])
    assert NODE is not None
    done = subprocess.run([NODE, "--check", tmp_path / "module.mjs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


PREFIXES = [
    "",
    "exports",
    "/exports//%DATE%/",
    "%COLLECTION_NAME%/%COLLECTION_ID%/%RESULT_SET_ID%",
    "a%COLLECTION_NAME%b",
    ".%COLLECTION_NAME%",
    "100%/x%",
]
NAMES = ["Daily figures", "a/b\\c", "..", ".", "\u2025", "x\u0007y", "\uff0f", "naïve ☂ 🦆"]
WRONG = ["%NOPE%", "%date%", "a\\b", "a/../b", ".", "\u2025", "x" * 769, "%A-1%"]


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_preview_of_a_key_is_the_key(tmp_path: Path) -> None:
    """The console's rules for prefixes are those of `path_prefix.py`."""
    (tmp_path / "prefix.mjs").write_text(SOURCES["prefix.js"])
    cases = [(prefix, {**path_prefix.SAMPLE, "COLLECTION_NAME": name}) for prefix in PREFIXES for name in NAMES]
    script = (
        f"import {{ keyOf, problems }} from './prefix.mjs';\nconst cases = {json.dumps(cases)};\n"
        f"const wrong = {json.dumps([*WRONG, *PREFIXES])};\n"
        "console.log(JSON.stringify([cases.map(([one, values]) => keyOf(one, values, 'a.csv')),"
        " wrong.map((one) => problems(one).length > 0)]));"
    )
    (tmp_path / "run.mjs").write_text(script)
    assert NODE is not None
    done = subprocess.run([NODE, tmp_path / "run.mjs"], capture_output=True, text=True, check=True, cwd=tmp_path)
    keys, refused = json.loads(done.stdout)
    assert keys == [path_prefix.object_key(prefix, values, "a.csv") for prefix, values in cases]
    assert refused == [bool(path_prefix.problems(prefix)) for prefix in [*WRONG, *PREFIXES]]


async def test_a_link_logs_in_once(start: Start) -> None:
    client = await start(key=None)
    assert client.app is not None
    token = client.app[SESSIONS].invite("ann").reveal()
    async with client.post("/console/login", json={"token": token}) as response:
        key = (await response.json())["key"]
        assert response.status == 200
    async with client.get("/account", headers={"Authorization": f"Bearer {key}"}) as response:
        assert response.status == 200
    for wrong in (token, key, "", None, 1, ["x"]):
        async with client.post("/console/login", json={"token": wrong}) as response:
            assert response.status == 401
            assert (await response.json())["request_info"]["code"] == "unauthorized"
    assert (await client.get("/account", headers={"Authorization": f"Bearer {token}"})).status == 401


async def answer_before_the_body(client: Client) -> bytes:
    """Return the first line of the answer to a login whose body is announced, but not sent; fails if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = b"POST /console/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    writer.write(head)
    try:
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_login_that_nobody_is_invited_to_is_not_waited_for(start: Start) -> None:
    """It would hold a place of those who have a key, and nobody need say who he is for that."""
    client = await start(key=None)
    assert b" 401 " in await answer_before_the_body(client)
    assert client.app is not None
    client.app[SESSIONS].redeem(client.app[SESSIONS].invite("ann").reveal())
    assert b" 401 " in await answer_before_the_body(client)


async def test_logins_are_counted_before_anything_of_them_is_read(start: Start, settings: Settings) -> None:
    """So that one address has only so many places, however slowly it sends."""
    strict = replace(settings, limits=replace(settings.limits, wrong_keys_per_minute=1, wrong_keys_burst=1))
    client = await start(strict, key=None)
    assert client.app is not None
    client.app[SESSIONS].invite("ann")
    assert (await client.post("/console/login", json={"token": "wrong"})).status == 401
    assert b" 429 " in await answer_before_the_body(client)


def settings_file(directory: Path, *accounts: str) -> Path:
    """Write settings with a store of its own and these fixed accounts."""
    fixed = "".join(f'[[accounts.fixed]]\nname = "{name}"\napi_key = "key-of-{name}"\n' for name in accounts)
    path = directory / "config.toml"
    path.write_text(f'[store]\npath = "{directory}/var"\n[secrets]\nkey_file = "{directory}/var/secret.key"\n{fixed}')
    return path


def serving(path: Path, *more: str) -> subprocess.Popen[str]:
    """Start the command on a free port."""
    command = [sys.executable, "-m", "consignee", "serve", "--config", str(path), "--port", "0", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("accounts", "more"), [(["ann"], ["--console"]), ([], ["--console", "bob"])])
async def test_the_command_prints_a_link_that_logs_in_once(
    tmp_path: Path, accounts: list[str], more: list[str]
) -> None:
    """After the line with the URL; and nothing of it is in the log."""
    with serving(settings_file(tmp_path, *accounts), *more) as process:
        assert process.stdout is not None and process.stderr is not None
        url, link = (process.stdout.readline().split()[-1] for _ in range(2))
        token = link.removeprefix(f"{url}/console/#login=")
        async with ClientSession() as session:
            statuses, key = [], ""
            for _ in range(2):
                async with session.post(f"{url}/console/login", json={"token": token}) as response:
                    statuses.append(response.status)
                    answer = await response.json()
                    key = answer.get("key") or key
            async with session.get(f"{url}/account", headers={"X-API-Key": key}) as response:
                statuses.append(response.status)
        process.terminate()
        logged = process.stderr.read()
    assert (statuses, process.returncode) == ([200, 401, 200], 0)
    assert logged and token not in logged and key not in logged


@pytest.mark.parametrize("accounts", [[], ["ann", "bob"]])
def test_the_command_does_not_guess_an_account(tmp_path: Path, accounts: list[str]) -> None:
    with serving(settings_file(tmp_path, *accounts), "--console") as process:
        _, told = process.communicate()
    assert (process.returncode, told.count("\n")) == (2, 1)
    assert "--console needs the name of an account" in told


@pytest.mark.parametrize("name", ["a b", "../a", "a\nb", "a" * 65])
def test_the_command_lets_in_no_account_that_no_key_can_be_made_for(tmp_path: Path, name: str) -> None:
    with serving(settings_file(tmp_path), "--console", name) as process:
        said, told = process.communicate()
    assert (process.returncode, said) == (2, "")
    assert "account: Must be 1 to 64 letters, digits" in told


PRESETS = """
import { PRESETS, located } from "./presets.mjs";
const filled = (one) => (one.regions.length ? one.regions : [[""]]).map(([region]) =>
  [one.name, located(one, { region, account: "abc123" }), located(one, { region: "", account: "" }).s3_endpoint]);
console.log(JSON.stringify(PRESETS.filter((one) => one.endpoint).flatMap(filled)));
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_what_the_presets_fill_in_is_accepted(tmp_path: Path) -> None:
    """Each region of each store: an endpoint and a region that the service takes, and none before all is chosen."""
    (tmp_path / "presets.mjs").write_text(SOURCES["presets.js"])
    (tmp_path / "run.mjs").write_text(PRESETS)
    assert NODE is not None
    done = subprocess.run([NODE, tmp_path / "run.mjs"], capture_output=True, text=True, check=True, cwd=tmp_path)
    filled = json.loads(done.stdout)
    assert {"Cloudflare R2", "DigitalOcean Spaces", "Backblaze B2", "Wasabi"} <= {name for name, *_ in filled}
    own = {
        "s3_access_key_id": "a",
        "s3_secret_access_key": "b",
        "s3_bucket_name": "bucket",
        "name": "x",
        "enabled": True,
    }
    for name, fields, without in filled:
        draft = s3compatible.S3CompatibleFields(Policy()).draft("s3compatible", {**own, **fields})
        assert draft.settings["s3_endpoint"] == fields["s3_endpoint"]
        assert "{" not in fields["s3_endpoint"] and (name == "Storj" or without == "")
