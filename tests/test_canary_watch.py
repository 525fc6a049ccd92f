"""The watch for canaries over all tests: what brings one to light fails its test, wherever that is, and whoever swallows it."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

import canaries
import canary_watch
import egress_watch
from fakes.google_oauth import private_key
from samples.serving import environment

TESTS: Final = Path(__file__).parent
SECRET: Final = canaries.COMPATIBLE_SECRET
LEAKS: Final = {
    "logged_by_us": "logged by consignee.service",
    "logged_by_a_library": "logged by botocore.auth",
    "logged_as_extra": "logged by consignee.x",
    "logged_as_exception": "logged by consignee.x",
    "logged_by_a_process": "logged by consignee.y",
    "printed_by_the_test": "printed as Captured stdout call",
    "printed_by_a_process": "printed python",
    "printed_by_a_process_as_error": "printed python",
    "answered_in_the_body": "answered GET /body",
    "answered_in_a_header": "answered GET /header",
    "answered_in_a_stream": "answered GET /stream",
    "answered_by_a_process": "answered GET /body",
    "raised_and_expected": "raised ValueError",
    "raised_as_a_cause": "raised ValueError",
    "told_to_a_webhook": "told a webhook",
    "told_to_a_scripted_webhook": "told a webhook",
    "stored_in_the_store": "stored destinations.jsonl",
    "stored_in_a_log": "stored server.log",
    "started_with_it": "started python",
    "started_by_a_shell": "started sh",
}
"""The tests below that leak, and what is reported of each."""
SUITE: Final = '''
import asyncio, logging, os, subprocess, sys, time, urllib.request
from pathlib import Path
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from canaries import API_KEY, COMPATIBLE_SECRET as SECRET, WEBHOOK_TOKEN
from consignee.settings import Settings
from consignee.web.keys import SETTINGS
from fakes.scripted import Answer, scripted

def child(program, *, inherited=False, **more):
    subprocess.run([sys.executable, "-c", "import canaries\\n" + program], check=True, **more)

def test_logged_by_us():
    logging.getLogger("consignee").setLevel(logging.CRITICAL)
    logging.getLogger("consignee.service").debug("%s", SECRET)

def test_logged_by_a_library():
    logging.disable()
    logging.getLogger("botocore.auth").log(1, "part: " + SECRET[5:17])
    logging.disable(logging.NOTSET)

def test_logged_as_extra():
    logging.getLogger("consignee.x").info("x", extra={"more": [SECRET]})

def test_logged_as_exception():
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("consignee.x").debug("x", exc_info=True)

def test_logged_by_a_process():
    child("import logging; logging.getLogger('consignee.y').debug(canaries.COMPATIBLE_SECRET)")

def test_printed_by_the_test():
    print(SECRET)

def test_printed_by_a_process():
    child("print(canaries.COMPATIBLE_SECRET)", stdout=subprocess.DEVNULL)

def test_printed_by_a_process_as_error():
    child("import sys; sys.stderr.write(canaries.COMPATIBLE_SECRET)", stderr=subprocess.DEVNULL)

APP = """
import asyncio, urllib.request
from aiohttp import web
from consignee.settings import Settings
from consignee.web.keys import SETTINGS
from canaries import COMPATIBLE_SECRET as SECRET

async def body(request):
    return web.Response(text=SECRET)

async def header(request):
    return web.Response(headers={"X": SECRET})

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x" + SECRET[:6].encode())
    await response.write(SECRET[6:].encode())
    await response.write_eof()
    return response

def made():
    app = web.Application()
    app.router.add_get("/body", body)
    app.router.add_get("/header", header)
    app.router.add_get("/stream", stream)
    return app
"""
exec(APP)

async def get(path, ours=True):
    app = made()
    if ours:
        app[SETTINGS] = Settings()
    async with TestServer(app) as server, ClientSession() as session, session.get(server.make_url(path)) as response:
        await response.read()

async def test_answered_in_the_body():
    await get("/body")

async def test_answered_in_a_header():
    await get("/header")

async def test_answered_in_a_stream():
    await get("/stream")

def test_answered_by_a_process():
    child(APP + """
async def main():
    app = made()
    app[SETTINGS] = Settings()
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://127.0.0.1:%d/body" % runner.addresses[0][1]
    await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
    await runner.cleanup()
asyncio.run(main())
""")

def test_raised_and_expected():
    with pytest.raises(ValueError):
        raise ValueError(SECRET)

def test_raised_as_a_cause():
    with pytest.raises(ValueError):
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError from error

async def told(url):
    async with ClientSession() as session:
        async with session.post(url, data=SECRET, headers={"webhook-id": "1"}):
            pass

async def hook(request):
    await request.read()
    return web.Response()

async def test_told_to_a_webhook():
    app = web.Application()
    app.router.add_post("/", hook)
    async with TestServer(app) as server:
        await told(server.make_url("/"))

async def test_told_to_a_scripted_webhook():
    async with scripted(lambda request: Answer()) as server:
        await told(server.url)

def test_stored_in_the_store(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "destinations.jsonl").write_text(SECRET.encode().hex())

def test_stored_in_a_log(tmp_path):
    (tmp_path / "server.log").write_text(SECRET)

def test_started_with_it():
    subprocess.run([sys.executable, "-c", "pass", SECRET], check=True)

def test_started_by_a_shell():
    """Which nothing but a look at the processes shows."""
    line = 'sh -c "read line; :" $HIDDEN'
    report = Path(os.environ["CANARY_WATCH_REPORT"])
    before = report.stat().st_size
    with subprocess.Popen(["sh", "-c", line + "; :"], env={"HIDDEN": SECRET}, stdin=subprocess.PIPE) as process:
        for _ in range(400):
            if report.stat().st_size > before:
                break
            time.sleep(0.05)

def test_failed_with_it():
    assert not SECRET

async def test_good():
    """The answers of others, eleven characters, and what is exempt."""
    await get("/body", ours=False)
    logging.getLogger("consignee").warning(SECRET[4:15])
    record = logging.makeLogRecord({"name": "aiohttp.access", "module": "web_log", "levelno": 20, "msg": WEBHOOK_TOKEN})
    logging.getLogger("aiohttp.access").handle(record)
    subprocess.run(["curl", "--version", API_KEY], check=False, stdout=subprocess.DEVNULL)

def test_good_next():
    """What one test did is not another's fault."""
'''


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What that suite prints under this conftest, in a process of its own."""
    directory = tmp_path_factory.mktemp("leaking")
    (directory / "test_leaks.py").write_text(SUITE)
    own = {name: text for name, text in environment().items() if name not in (egress_watch.REPORT, canary_watch.REPORT)}
    line = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    line += [
        "-q",
        "-rEfp",
        "--tb=short",
        "--show-capture=no",
        "--basetemp",
        str(directory / "temporary"),
        "test_leaks.py",
    ]
    own["PYTHONPATH"] = str(TESTS)
    ended = subprocess.run(line, cwd=directory, env=own, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    shutil.rmtree(directory)
    return ended.stdout


def test_whatever_brings_a_canary_to_light_fails_its_test(printed: str) -> None:
    """Nothing else does; and what is reported is where it was, never the canary."""
    errors, failed = (
        set(re.findall(rf"^{word} \S+::test_(\w+)", printed, re.MULTILINE)) for word in ("ERROR", "FAILED")
    )
    passed = set(re.findall(r"^PASSED \S+::test_(\w+)", printed, re.MULTILINE))
    assert (errors, failed) == ({*LEAKS, "failed_with_it"}, {"failed_with_it"})
    assert passed == {*LEAKS, "good", "good_next"}
    for test, where in LEAKS.items():
        assert re.search(
            rf"^S3-compatible secret: {where}.*, during test_leaks.py::test_{test}\b", printed, re.MULTILINE
        ), test


def test_a_report_does_not_show_the_canary(printed: str) -> None:
    """But in the one test that fails with it in its own text."""
    assert canaries.found(re.sub(r"(?m)^.*assert not.*$", "", printed)) == set()


def in_base64(value: str, *, before: int) -> str:
    """Return a value in base64, with so many bytes before it."""
    return base64.b64encode(b"\xff" * before + value.encode()).decode()


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "a part": lambda value: value[3:15],
    "in a URL": lambda value: quote(value, safe=""),
    "a form that was not escaped": lambda value: value.replace("+", " "),
    "in hexadecimal": lambda value: value.encode().hex(),
    "in capital hexadecimal": lambda value: value.encode().hex().upper(),
    "in JSON": json.dumps,
    **{f"in base64, {before} before": partial(in_base64, before=before) for before in range(3)},
    "in base64 for URLs": lambda value: base64.urlsafe_b64encode(b"?" + value.encode()).decode(),
    "a part in base64": lambda value: base64.b64encode(b">>" + value.encode()[1:17]).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", canaries.VALUES)
def test_each_canary_is_known_in_each_form(name: str, form: Callable[[str], str]) -> None:
    assert name in canaries.found(f"before {form(canaries.VALUES[name])} after")


@pytest.mark.parametrize("name", canaries.VALUES)
def test_each_part_of_twelve_characters_is_known(name: str) -> None:
    """And none of fewer, so that no chance is taken for a leak."""
    value = canaries.VALUES[name]
    assert all(canaries.found(value[start : start + 12]) for start in range(len(value) - 11))
    assert not any(canaries.found(value[start : start + 11]) for start in range(len(value) - 10))


def test_there_are_twelve_and_none_is_like_another() -> None:
    assert len(canaries.VALUES) >= 12
    assert all(canaries.found(value) == {name} for name, value in canaries.VALUES.items())


def test_a_private_key_is_known_by_its_lines() -> None:
    lines = private_key().splitlines()
    assert canaries.found(lines[6][10:22]) == {"private key 0, line 6"}
    assert canaries.found("\n".join(lines[:2])) == {"a private key"}
    assert canaries.found(json.dumps(lines[9])) == {"private key 0, line 9"}


def test_of_peppers_the_last_is_known() -> None:
    before, after = "0123456789abcdef" * 4, "fedcba9876543210" * 4
    for value in (before, before, after):
        canaries.learn_last("a pepper", value)
        assert canaries.found(f"before {value[3:15]} after") == {"a pepper"}
    assert canaries.found(before[:20]) == set()
    canaries.learn_last("a pepper", "00" * 32)
    assert canaries.found(after + "00" * 32) == set()


def test_what_is_exempt_is_exempt_there_alone() -> None:
    """In that channel, in that place and, if it says so, during those tests."""
    rule = canary_watch.Exemption("answered", "an? key", r"POST /keys", "why", "tests/web/.*")
    assert rule.covers("answered", "a key", "POST /keys", "tests/web/test_x.py::test_y (call)")
    assert not rule.covers("logged", "a key", "POST /keys", "tests/web/test_x.py::test_y (call)")
    assert not rule.covers("answered", "a key and more", "POST /keys", "tests/web/test_x.py::test_y (call)")
    assert not rule.covers("answered", "a key", "POST /keys/more", "tests/web/test_x.py::test_y (call)")
    assert not rule.covers("answered", "a key", "POST /keys", "tests/test_x.py::test_y (call)")


@pytest.mark.parametrize(("module", "exempt"), [("web_log", True), ("log", False)], ids=["a host's", "ours"])
def test_only_another_servers_access_log_may_hold_a_key(module: str, exempt: bool) -> None:
    where = f"by aiohttp.access in {module}"
    assert any(rule.covers("logged", "API key", where, "a test") for rule in canary_watch.EXEMPT) == exempt


MADE: Final = {
    "a created API key": "csg_0123abcd_" + "A" * 43,
    "a webhook's secret": "whsec_" + "B" * 44,
    "a Google token": "ya29.c." + "C" * 30,
    "a signature in a URL": "https://a.example/b?sp=cw&sig=" + "D%2B" * 11,
    "a signature of a request": "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=y, Signature=" + "e" * 64,
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_at_random_is_known_by_its_shape(name: str) -> None:
    assert canaries.found(MADE[name]) == {name}
    assert canaries.found(MADE[name][:18]) <= {name}


def test_the_suite_is_watched() -> None:
    """This very test is, and so is what it starts."""
    assert Path(os.environ[canary_watch.REPORT]).is_file()
    program = [sys.executable, "-c", "import logging; print(logging.getLogger('x').isEnabledFor(1))"]
    assert subprocess.run(program, env=environment(), capture_output=True, text=True).stdout == "True\n"
