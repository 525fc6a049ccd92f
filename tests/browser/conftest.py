"""One browser, one service and two storages for all tests here; each test gets an account and a window of its own."""

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

import canaries
from browser.account import SECONDS, USER, Account
from browser.house import House, Name, furnish, leave, plainly
from browser.tab import Tab
from consignee.demo.storage import StorageServer
from fakes.chaos_process import ChaosServer, chaos_process
from samples.serving import Serving, serving, write_config

HERE: Final = Path(__file__).parent
CHROMIUM: Final = "chromium"
ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE: Final = 20_000
"""Milliseconds that the screen gets to show what is expected of it."""
ACCOUNTS: Final = 100
LANGUAGE: Final = "en-GB"
_DELIVERY: Final = '[delivery]\nretries = ["1s", "1h"]\nbreaker = 100\nidle_timeout = 600\nleast_bytes_per_second = 0\n'
Open = Callable[..., Awaitable[Tab]]
_numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the browser, and share the event loop that it was started in."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Debian's Chromium is; skips without it, but fails where the variable CI is `true`."""
    found = shutil.which(CHROMIUM)
    if found is None:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop("no tests in a browser: chromium is not installed")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A browser with a new, empty directory, which is removed in the end."""
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        await started.close()


@pytest.fixture(scope="session")
def keys() -> Iterator[str]:
    """API keys, each of an account that nothing was done with."""
    return iter([canaries.canary(f"API key {number}", safe=True) for number in range(ACCOUNTS)])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A running service with many accounts, which repeats soon what fails."""
    names = {f"account-{number}": canaries.canary(f"API key {number}", safe=True) for number in range(ACCOUNTS)}
    for name, key in names.items():
        canaries.learn(f"API key of {name}", key)
    config = write_config(tmp_path_factory.mktemp("browser"), accounts=names)
    config.write_text(config.read_text() + _DELIVERY)
    with serving(config) as started:
        yield started
        assert started.stop() == 0


@pytest.fixture(scope="session")
def chaos() -> Iterator[ChaosServer]:
    """A storage that checks signatures, too, and is told to fail and to be slow; any bucket named `acme-…` is there."""
    with chaos_process("acme-*", keep=True) as server:
        yield server


@asynccontextmanager
async def _account(service: Serving, swift: StorageServer, key: str) -> AsyncIterator[Account]:
    bucket = f"reports-{next(_numbers)}"
    await swift.create_bucket(USER, bucket)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        yield Account(f"{service.url}/", key, swift, bucket, session)


@pytest_asyncio.fixture(loop_scope="session")
async def account(service: Serving, swift: StorageServer, keys: Iterator[str]) -> AsyncIterator[Account]:
    """An account with an empty bucket of its own."""
    async with _account(service, swift, next(keys)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def open_tab(browser: Browser) -> AsyncIterator[Open]:
    """Opens a tab in a window of its own, for the service at a URL; what each that is `checked` wrote down is, in the end."""
    tabs: list[Tab] = []
    async with AsyncExitStack() as stack:

        async def opened(url: str, *secrets: str, checked: bool = True, **options: Any) -> Tab:
            context = await browser.new_context(**{"locale": LANGUAGE, "timezone_id": "UTC", **options})
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE)
            tab = Tab(await context.new_page(), url, *secrets)
            await tab.watch()
            tabs.extend([tab] * checked)
            return tab

        yield opened
    for tab in tabs:
        tab.check()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(account: Account, open_tab: Open) -> Tab:
    """An empty tab for the account."""
    return await open_tab(account.url, account.key)


@asynccontextmanager
async def furnished(
    service: Serving, swift: StorageServer, chaos: ChaosServer, key: str, name: Name
) -> AsyncIterator[House]:
    """Furnish the account with this key, and leave it in the end; one at a time, for they share the faults of a storage."""
    async with _account(service, swift, key) as account:
        house = await furnish(account, chaos, name=name)
        yield house
        await leave(house, chaos)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    service: Serving, swift: StorageServer, chaos: ChaosServer, keys: Iterator[str]
) -> AsyncIterator[House]:
    """An account with something of everything, to be looked at by the tests of a module and not changed."""
    async with furnished(service, swift, chaos, next(keys), plainly) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests told beside whether they passed: what was found, weighed and timed."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [value for report in reports if report.when == "call" for _, value in report.user_properties]
    if told:
        terminalreporter.section("told by the tests in a browser")
    for line in told:
        terminalreporter.write_line(str(line))
