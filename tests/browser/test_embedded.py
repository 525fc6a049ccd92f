"""The console where the service is a part of somebody's own application, under a path of it; and the operator's link."""

import re
import selectors
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from browser.conftest import Open
from canaries import API_KEY, write_sealing_key
from consignee.secret import Secret
from consignee.settings import AccountsSettings, FixedAccount, SecretsSettings, Settings, StoreSettings
from consignee.web import setup
from consignee.web.keys import Authenticate
from samples.serving import START_SECONDS, environment, write_config

COOKIE = "login=of-ann"


@contextmanager
def invited(directory: Path) -> Iterator[str]:
    """Start a server that is asked for a link to the console, and yield the link."""
    config = write_config(directory, accounts={"ann": API_KEY})
    command = [sys.executable, "-m", "consignee", "serve", "--config", str(config), "--console", "ann"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True)
    try:
        yield _link(process)
    finally:
        process.terminate()
        assert process.wait(START_SECONDS) == 0
        assert process.stdout is not None
        process.stdout.close()


def _link(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_SECONDS)
        process.stdout.readline()
        found = re.search(r"http://\S+", process.stdout.readline())
    assert found
    return found[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An account, and a store of its own."""
    return replace(
        Settings(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key_file=str(write_sealing_key(tmp_path / "key" / "secret.key"))),
        accounts=AccountsSettings(fixed=(FixedAccount("ann", Secret(API_KEY)),)),
    )


async def who(request: web.Request) -> str | None:
    """The host application's own login."""
    return "ann" if request.headers.get("Cookie") == COOKIE else None


async def hosted(settings: Settings, prefix: str, authenticate: Authenticate | None) -> TestServer:
    """Start an application with a page of its own, and consignee under a prefix."""

    async def own(request: web.Request) -> web.Response:
        return web.Response(
            text="<title>Ours</title><a href='storage/app/console/'>Storage</a>", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", own)
    setup(app, settings, prefix=prefix, authenticate=authenticate)
    server = TestServer(app)
    await server.start_server()
    return server


@pytest_asyncio.fixture(loop_scope="session", params=["/storage", "/storage/app"])
async def under_a_prefix(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[str]:
    """The URL of such an application, with the prefix."""
    server = await hosted(settings, request.param, None)
    yield f"{server.make_url('/')}"[:-1] + request.param + "/"
    await server.close()


async def test_it_works_under_the_prefix_of_another_application(under_a_prefix: str, open_tab: Open) -> None:
    """Also when the address lacks its last slash. Nothing is asked for beside the prefix."""
    tab = await open_tab(under_a_prefix, API_KEY)
    await tab.open(page="console")
    await tab.page.get_by_label("API key").fill(API_KEY)
    await tab.page.get_by_role("button", name="Log in").click()
    await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
    assert tab.page.url == f"{under_a_prefix}console/#/destinations"
    await tab.go("#/destinations/new")
    await expect(tab.page.get_by_label("Where is the bucket?")).to_be_visible()
    await tab.go("#/charts")
    assert {request.url.startswith(under_a_prefix) for request in tab.requests if request.url != "about:blank"} == {
        True
    }


async def test_who_is_logged_in_to_the_application_is_not_asked_for_a_key(settings: Settings, open_tab: Open) -> None:
    server = await hosted(settings, "/storage/app", who)
    try:
        tab = await open_tab(str(server.make_url("/")), extra_http_headers={"Cookie": COOKIE})
        await tab.page.goto(tab.url)
        await tab.page.get_by_role("link", name="Storage").click()
        await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
        await expect(tab.page.get_by_role("button", name="Log out")).to_have_count(0)
        assert await tab.page.evaluate("sessionStorage.length") == 0
    finally:
        await server.close()


async def test_the_operators_link_logs_in_once(tmp_path: Path, open_tab: Open) -> None:
    """Neither the token nor the key that it is exchanged for is seen in the address bar."""
    with invited(tmp_path) as link:
        base, _, token = link.partition("console/#login=")
        tab = await open_tab(base, token, API_KEY)
        await tab.page.goto(link)
        await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
        assert tab.page.url == f"{base}console/#/destinations"
        await tab.page.reload()
        await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
        again = await open_tab(base, token)
        await again.page.goto(link)
        await expect(again.page.get_by_role("alert")).to_contain_text("This link has been used")
        await expect(again.page.get_by_label("API key")).to_be_visible()
        assert token not in again.page.url
