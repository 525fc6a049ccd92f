"""Logging in to the console, and what becomes of the key."""

import re

import pytest
from playwright.async_api import BrowserContext, expect

from browser.account import Account
from browser.conftest import Open
from browser.tab import Tab
from samples.serving import Serving

UNKNOWN = "no-such-key"
_KEPT = """() => ({
  url: location.href, local: JSON.stringify(localStorage), cookies: document.cookie,
  session: JSON.stringify(sessionStorage), title: document.title, text: document.body.innerText,
})"""


async def test_a_key_that_is_typed_in_logs_in_and_stays_in_the_tabs_session_alone(tab: Tab, account: Account) -> None:
    await tab.open()
    await tab.page.get_by_label("API key").fill(account.key)
    await tab.page.get_by_role("button", name="Log in").click()
    await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
    for _ in range(2):
        kept = await tab.page.evaluate(_KEPT)
        assert account.key in kept.pop("session")
        assert not [name for name, value in kept.items() if account.key in value]
        assert (kept["local"], kept["cookies"]) == ("{}", "")
        assert await tab.page.context.cookies() == []
        await tab.page.reload()
        await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()


async def test_no_address_logs_in_with_a_key(tab: Tab, account: Account) -> None:
    """It would stay in the browser's history, and anybody's link could put an account in place of one's own."""
    await tab.open(f"#key={account.key}")
    await expect(tab.page.get_by_label("API key")).to_be_visible()
    assert await tab.page.evaluate("sessionStorage.length") == 0
    await tab.enter(account.key)
    await tab.page.evaluate("() => { location.hash = '#key=another'; }")
    await tab.page.wait_for_url(f"{account.url}console/#/destinations")
    assert account.key in await tab.page.evaluate("JSON.stringify(sessionStorage)")


async def test_a_link_that_is_too_old_says_so_and_leaves_the_address_bar(tab: Tab, account: Account) -> None:
    await tab.open("#login=no-such-token")
    await expect(tab.page.get_by_role("alert")).to_contain_text("This link has been used, or is too old")
    assert tab.page.url == f"{account.url}console/#/destinations"


@pytest.mark.parametrize(
    "fragment",
    [
        "#/destinations/%",
        "#login=%",
        "#/destinations/..%2F..%2Fhealthz",
        "#/collections/..",
        "#/collections/A/results/%2E",
    ],
)
async def test_what_is_no_address_leads_to_the_destinations(tab: Tab, account: Account, fragment: str) -> None:
    """And the key nowhere but to the API."""
    await tab.hold(account.key)
    tab.requests.clear()
    await tab.open(fragment)
    await expect(tab.page.get_by_role("heading", name="Destinations", level=1)).to_be_visible()
    asked = {request.url.removeprefix(account.url).partition("?")[0] for request in tab.requests}
    assert {one for one in asked if not one.startswith(("console/", "about:"))} == {"destination-types", "destinations"}


async def test_the_key_is_gone_when_its_tab_is_closed(tab: Tab, account: Account) -> None:
    """Also in another tab of the same window there is no key."""
    await tab.enter(account.key)
    context: BrowserContext = tab.page.context
    other = await context.new_page()
    await other.goto(f"{account.url}console/")
    await expect(other.get_by_label("API key")).to_be_visible()
    await tab.page.close()
    again = await context.new_page()
    await again.goto(f"{account.url}console/#/destinations")
    await expect(again.get_by_label("API key")).to_be_visible()


async def test_who_logs_out_is_asked_for_a_key_again(tab: Tab, account: Account) -> None:
    await tab.enter(account.key)
    await tab.page.get_by_role("button", name="Log out").click()
    await expect(tab.page.get_by_label("API key")).to_be_visible()
    assert await tab.page.evaluate("sessionStorage.length") == 0
    await tab.page.reload()
    await expect(tab.page.get_by_label("API key")).to_be_visible()
    await tab.page.go_back()
    assert not await tab.page.get_by_role("heading", name="Destinations", level=1).count()


async def test_a_wrong_key_is_said_beside_its_field_and_the_focus_is_there(tab: Tab) -> None:
    await tab.open()
    field = tab.page.get_by_label("API key")
    await field.fill(UNKNOWN)
    await field.press("Enter")
    await expect(field).to_have_accessible_description(re.compile("This key is not known"))
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await field.fill("")
    await field.press("Enter")
    await expect(field).to_have_accessible_description(re.compile("Enter your API key"))


async def test_a_key_that_is_not_known_any_more_logs_out_and_says_so(
    tab: Tab, account: Account, service: Serving
) -> None:
    await tab.enter(account.key)
    await tab.page.evaluate("(key) => sessionStorage.setItem(Object.keys(sessionStorage)[0], key)", UNKNOWN)
    await tab.page.reload()
    await expect(tab.page.get_by_role("alert")).to_contain_text("You are logged out")
    assert await tab.page.evaluate("sessionStorage.length") == 0


async def test_a_screen_that_was_asked_for_is_shown_after_the_login(open_tab: Open, account: Account) -> None:
    """A bookmark leads where it says, after the question for the key."""
    tab = await open_tab(account.url, account.key)
    await tab.open("#/collections")
    await tab.page.get_by_label("API key").fill(account.key)
    await tab.page.get_by_role("button", name="Log in").click()
    await expect(tab.page.get_by_role("heading", name="Collections", level=1)).to_be_visible()
