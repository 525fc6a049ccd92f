"""The content security policy: it is strict, nothing of ours is refused by it, and names are text and nothing else.

That nothing was refused and nothing asked for elsewhere is checked after every test here, for each tab that it had.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from browser.account import Account
from browser.conftest import Open, furnished
from browser.house import House
from browser.screens import SCREENS, close, show
from browser.tab import Tab
from consignee.demo.storage import StorageServer
from fakes.chaos_process import ChaosServer
from samples.serving import Serving

_INSERT = """(markup) => {
  document.querySelector("main").innerHTML = markup;
  document.getElementById("link")?.click();
}"""
MARKUP = "<img src=x onerror=alert(1)>"


def hostile(name: str) -> str:
    """Return a name that would be an element if it were taken for markup."""
    return f"{MARKUP} {name}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hostile_house(
    service: Serving, swift: StorageServer, chaos: ChaosServer, keys: Iterator[str]
) -> AsyncIterator[House]:
    """An account in which all that a customer can choose is markup."""
    async with furnished(service, swift, chaos, next(keys), hostile) as house:
        yield house


async def test_names_are_shown_as_text_on_every_screen(hostile_house: House, open_tab: Open) -> None:
    account = hostile_house.account
    tab = await open_tab(account.url, account.key)
    await tab.enter(account.key)
    shown = set()
    for name in SCREENS:
        await show(tab, hostile_house, name)
        assert await tab.page.locator("img").count() == 0
        shown |= {one for one in hostile_house.names if one in await tab.page.locator("body").inner_text()}
        await close(tab)
    assert shown == set(hostile_house.names)


async def test_a_name_that_is_typed_in_is_text_also_in_what_is_announced_and_asked(tab: Tab, account: Account) -> None:
    await account.destination(MARKUP)
    await tab.enter(account.key)
    await tab.page.get_by_role("button", name=f"Disable {MARKUP}").click()
    await expect(tab.page.locator("#announcements")).to_have_text(f"{MARKUP} is disabled.")
    await tab.page.get_by_label("Search").fill(MARKUP)
    await tab.page.get_by_role("link", name=MARKUP).click()
    await tab.page.get_by_role("main").get_by_role("button", name="Delete", exact=True).click()
    await expect(tab.page.get_by_role("dialog")).to_contain_text(MARKUP)
    assert await tab.page.locator("img").count() == 0


@pytest.mark.parametrize(
    "markup",
    [
        "<img src='http://127.0.0.1:9/x.png'>",
        "<a href='javascript:alert(1)' id=link>x</a>",
        "<div onclick='alert(1)' id=link>x</div>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<p style='color: red'>x</p>",
    ],
)
async def test_what_the_policy_refuses_is_noticed(account: Account, open_tab: Open, markup: str) -> None:
    """It refuses what a hole in our own pages would let in; and the check after each test would find that."""
    tab = await open_tab(account.url, checked=False)
    await tab.open()
    await tab.arrived()  # what is put in before that is gone again before a frame has come
    async with tab.page.expect_console_message(lambda message: message.text.startswith("refused by the policy")):
        await tab.page.evaluate(_INSERT, markup)
    with pytest.raises(AssertionError, match="refused by the policy"):
        tab.check()


async def test_what_leaves_the_origin_or_tells_a_secret_is_noticed(account: Account, open_tab: Open) -> None:
    tab = await open_tab("http://127.0.0.1:9/", checked=False)
    await tab.page.goto(f"{account.url}console/")
    with pytest.raises(AssertionError, match="left the origin"):
        tab.check()
    tab = await open_tab(account.url, "icon.svg", checked=False)
    await tab.page.goto(f"{account.url}console/icon.svg")
    with pytest.raises(AssertionError, match="in an address"):
        tab.check()
