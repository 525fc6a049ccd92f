"""The list of destinations, and what can be done with those that are there."""

import re

from playwright.async_api import Locator, expect

from browser.account import Account
from browser.tab import Tab
from fakes.chaos_process import ChaosServer

NAMES = ("Alpha", "Beta", "Gamma")


def row(tab: Tab, name: str) -> Locator:
    """Return the row of a destination."""
    return tab.page.get_by_role("row").filter(has=tab.page.get_by_role("link", name=name, exact=True))


async def test_an_empty_account_is_told_what_to_do_first(tab: Tab, account: Account) -> None:
    await tab.enter(account.key)
    await tab.page.get_by_role("main").get_by_role("link", name="New destination").last.click()
    await expect(tab.page.get_by_role("heading", name="New destination")).to_be_focused()


async def test_they_are_found_by_name_type_and_state_and_sorted(tab: Tab, account: Account) -> None:
    for name in NAMES:
        await account.destination(name, enabled=name != "Beta")
    await tab.enter(account.key)
    page = tab.page
    links = page.get_by_role("rowheader").get_by_role("link")
    await expect(links).to_have_text(list(NAMES))
    await page.get_by_label("Sort by").select_option(label="Newest first")
    await expect(links).to_have_text(list(reversed(NAMES)))
    await page.get_by_label("Show").select_option(label="Disabled")
    await expect(links).to_have_text(["Beta"])
    await tab.said("1 destination")
    await page.get_by_label("Show").select_option(value="")
    await page.get_by_label("Search").fill("alp")
    await expect(links).to_have_text(["Alpha"])
    await expect(page).to_have_url(re.compile("search=alp"))
    await page.reload()
    await expect(links).to_have_text(["Alpha"])
    await page.get_by_label("Search").fill("nobody")
    await page.get_by_role("button", name="Show all").click()
    await expect(links).to_have_text(list(NAMES))


async def test_one_is_disabled_and_enabled_again_after_a_test(tab: Tab, account: Account) -> None:
    await account.destination("Alpha")
    await tab.enter(account.key)
    await row(tab, "Alpha").get_by_role("button", name="Disable Alpha").click()
    await expect(row(tab, "Alpha")).to_contain_text("Disabled")
    await tab.said("Alpha is disabled")
    assert (await account.ask("GET", "/destinations"))["destinations"][0]["enabled"] is False
    await row(tab, "Alpha").get_by_role("button", name="Enable Alpha").click()
    await expect(row(tab, "Alpha")).to_contain_text("Works")
    await tab.said("Alpha is enabled")


async def test_one_that_does_not_work_any_more_stays_disabled_and_says_why(
    tab: Tab, account: Account, chaos: ChaosServer
) -> None:
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": "wrong"}
    await account.destination("Alpha", **theirs, s3_bucket_name="acme-alpha", enabled=False)
    await tab.enter(account.key)
    await row(tab, "Alpha").get_by_role("button", name="Enable Alpha").click()
    await expect(tab.page.get_by_role("main").get_by_text("It stays disabled")).to_be_visible()
    await expect(tab.page.get_by_role("main").get_by_text("SignatureDoesNotMatch")).to_be_visible()
    await expect(row(tab, "Alpha")).to_contain_text("Disabled")


async def test_all_are_tested_again_live(tab: Tab, account: Account, chaos: ChaosServer) -> None:
    """What fails is named when all are done; its row says so as soon as it is known."""
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
    await account.destination("Alpha")
    await account.destination("Beta", **theirs, s3_bucket_name="acme-beta")
    chaos.set_faults(bucket="acme-beta", refuse=1.0, delay=1000)
    await tab.enter(account.key)
    await tab.page.get_by_role("button", name="Test all").click()
    await expect(tab.page.get_by_text("1 of 2 done")).to_be_visible()
    await expect(tab.page.get_by_role("main").get_by_text("1 of 2 destinations did not work")).to_be_visible()
    await tab.said("1 of 2 destinations did not work")
    await expect(row(tab, "Alpha")).to_contain_text("Works")
    await expect(row(tab, "Beta")).to_contain_text("Test failed")
    chaos.set_faults(bucket="acme-beta")
    await row(tab, "Beta").get_by_role("button", name="Test Beta").click()
    await expect(row(tab, "Beta")).to_contain_text("Works")


async def test_one_is_changed_and_its_secrets_stay(tab: Tab, account: Account) -> None:
    """The secrets are not in the page, and an empty field leaves them as they are."""
    await account.destination("Alpha")
    await tab.enter(account.key)
    page = tab.page
    await page.get_by_role("link", name="Alpha", exact=True).click()
    await expect(page.get_by_role("heading", name="Alpha")).to_be_focused()
    secret = page.get_by_role("textbox", name=re.compile("^Secret access key"))
    await expect(secret).to_have_value("")
    await expect(secret).to_have_attribute("placeholder", "unchanged")
    await page.get_by_role("textbox", name="Name", exact=True).fill("Alpha two")
    await page.get_by_role("textbox", name=re.compile("^Path prefix")).fill("elsewhere")
    await page.get_by_role("button", name="Save changes").click()
    await expect(row(tab, "Alpha two")).to_contain_text("Works")
    saved = (await account.ask("GET", "/destinations"))["destinations"][0]
    assert (saved["name"], saved["s3_path_prefix"]) == ("Alpha two", "elsewhere")
    assert (await account.ask("POST", f"/destinations/{saved['id']}/test"))["connectivity"]["ok"]
    sent = [request.post_data or "" for request in tab.requests if request.method == "PUT"]
    assert len(sent) == 1 and "secret" not in sent[0]


async def test_one_is_deleted_only_after_a_question(tab: Tab, account: Account) -> None:
    """Escape and Cancel leave it, and give the focus back."""
    await account.destination("Alpha")
    await tab.enter(account.key)
    page = tab.page
    await page.get_by_role("link", name="Alpha", exact=True).click()
    delete = page.get_by_role("main").get_by_role("button", name="Delete", exact=True)
    dialog = page.get_by_role("dialog", name="Delete “Alpha”?")
    for no in ("Escape", "Enter"):
        await delete.click()
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press(no)
        await expect(dialog).to_have_count(0)
        await expect(delete).to_be_focused()
    assert (await account.ask("GET", "/destinations"))["usage"]["used"] == 1
    await delete.click()
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_role("heading", name="Destinations", level=1)).to_be_focused()
    await tab.said("Alpha is deleted")
    assert (await account.ask("GET", "/destinations"))["usage"]["used"] == 0
