"""Making a destination: presets, the preview, the test before saving, and what is said of mistakes."""

import re

import pytest
from playwright.async_api import expect

from browser.account import USER, Account
from browser.form import fill_in, type_in
from browser.tab import Tab
from fakes.chaos_process import ChaosServer

WRONG = "not-the-secret"


async def test_a_wrong_secret_gets_a_hint_and_once_mended_the_destination_is_saved(tab: Tab, account: Account) -> None:
    """Nothing is saved of what did not work, and what was typed is still there."""
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await fill_in(page, account, secret=WRONG)
    await page.get_by_role("button", name="Create destination").click()
    failed = page.get_by_role("listitem").filter(has_text="Upload a test file")
    await expect(failed).to_contain_text("failed")
    await expect(failed).to_contain_text("SignatureDoesNotMatch")
    await expect(failed).to_contain_text("Check the access key and the secret")
    await tab.said("secret")
    assert (await account.ask("GET", "/destinations"))["usage"]["used"] == 0
    await page.get_by_label("Secret access key", exact=True).fill(account.storage.users[USER])
    await page.get_by_role("button", name="Create destination").click()
    await expect(page.get_by_role("row", name=re.compile("Reports for finance"))).to_contain_text("Works")
    await tab.said("Reports for finance is saved")
    saved = (await account.ask("GET", "/destinations"))["destinations"][0]
    assert (saved["name"], saved["s3_path_prefix"], saved["enabled"]) == ("Reports for finance", "reports/%DATE%", True)
    assert await account.keys() == []


async def test_a_test_is_shown_step_by_step_while_it_runs(tab: Tab, account: Account, chaos: ChaosServer) -> None:
    """The storage keeps the upload waiting until the screen has been looked at."""
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await fill_in(page, account, secret=chaos.secret)
    await type_in(page, {"Endpoint": chaos.url, "Bucket name": "acme-test", "Access key ID": chaos.key_id})
    chaos.set_faults(bucket="acme-test", delay=1500, on=["put"])
    await page.get_by_role("button", name="Test", exact=True).click()
    steps = page.get_by_role("listitem")
    await expect(steps.filter(has_text="Upload a test file")).to_contain_text("under way")
    await expect(steps.filter(has_text="Delete the test file")).to_contain_text("waiting")
    await expect(steps.filter(has_text="Upload a test file")).to_contain_text("done")
    await expect(steps.filter(has_text="Delete the test file")).to_contain_text("done")
    await expect(page.get_by_role("main").get_by_text("It works")).to_be_visible()
    await tab.said("It works")
    assert (await account.ask("GET", "/destinations"))["usage"]["used"] == 0


async def test_what_is_missing_is_said_beside_each_field_and_the_first_gets_the_focus(
    tab: Tab, account: Account
) -> None:
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await page.get_by_role("button", name="Create destination").click()
    name = page.get_by_role("textbox", name="Name", exact=True)
    await expect(name).to_be_focused()
    await expect(name).to_have_accessible_description(re.compile("Fill this in"))
    await expect(page.get_by_label("Where is the bucket?")).to_have_accessible_description(re.compile("Choose one"))
    await tab.said("2 fields need attention")
    await fill_in(page, account)
    await page.get_by_role("textbox", name=re.compile("^Bucket name")).fill("Not A Bucket!")
    await page.get_by_role("button", name="Create destination").click()
    bucket = page.get_by_role("textbox", name=re.compile("^Bucket name"))
    await expect(bucket).to_be_focused()
    await expect(bucket).to_have_accessible_description(re.compile("must be the name of a bucket", re.IGNORECASE))
    await expect(name).not_to_have_attribute("aria-invalid", "true")


async def test_the_preview_says_which_key_a_prefix_gives_and_what_is_wrong_with_it(tab: Tab, account: Account) -> None:
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await fill_in(page, account)
    prefix = page.get_by_role("textbox", name=re.compile("^Path prefix"))
    preview = page.get_by_role("complementary", name="Preview")
    await prefix.fill("reports/")
    await page.get_by_role("button", name="%COLLECTION_NAME%").click()
    await expect(prefix).to_have_value("reports/%COLLECTION_NAME%")
    await expect(prefix).to_be_focused()
    await expect(preview).to_contain_text("reports/Daily figures/visits.csv")
    await prefix.fill("reports/%NOBODY%")
    await expect(prefix).to_have_accessible_description(re.compile("There is no %NOBODY%"))
    await expect(preview).not_to_contain_text("visits.csv")


async def test_the_policy_to_paste_names_the_bucket_and_the_prefix(tab: Tab, account: Account) -> None:
    await tab.enter(account.key, "#/destinations/new")
    await fill_in(tab.page, account)
    policy = tab.page.get_by_label("Policy", exact=True)
    await expect(policy).to_contain_text(f"arn:aws:s3:::{account.bucket}/reports/*")
    await expect(policy).not_to_contain_text("s3:GetObject")


@pytest.mark.parametrize(
    ("preset", "region", "endpoint"),
    [
        ("DigitalOcean Spaces", "ams3", "https://ams3.digitaloceanspaces.com"),
        ("Backblaze B2", "us-west-004", "https://s3.us-west-004.backblazeb2.com"),
        ("Wasabi", "eu-central-1", "https://s3.eu-central-1.wasabisys.com"),
    ],
)
async def test_a_well_known_store_is_found_by_its_name_and_region(
    tab: Tab, account: Account, preset: str, region: str, endpoint: str
) -> None:
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await page.get_by_label("Where is the bucket?").select_option(label=preset)
    await page.get_by_label("Region", exact=True).first.select_option(value=region)
    await page.get_by_text(f"Endpoint: {endpoint}").click()
    await expect(page.get_by_role("textbox", name=re.compile("^Endpoint"))).to_have_value(endpoint)


async def test_a_secret_is_masked_until_it_is_asked_for(tab: Tab, account: Account) -> None:
    page = tab.page
    await tab.enter(account.key, "#/destinations/new")
    await fill_in(page, account, secret=WRONG)
    secret = page.get_by_label("Secret access key", exact=True)
    await expect(secret).to_have_attribute("type", "password")
    await page.get_by_role("button", name="Show Secret access key").click()
    await expect(secret).to_have_attribute("type", "text")


async def test_a_destination_is_made_by_the_keyboard_alone(tab: Tab, account: Account) -> None:
    """From the list to the list: by Tab, letters, arrows, Enter and Space."""
    await tab.enter(account.key)
    page = tab.page
    await tab.tab_to(page.get_by_role("link", name="New destination").first)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="New destination")).to_be_focused()
    await tab.tab_to(page.get_by_role("textbox", name="Name", exact=True))
    await page.keyboard.type("By keyboard")
    await tab.tab_to(page.get_by_label("Where is the bucket?"))
    await page.keyboard.type("Other S3")
    for label, text in {
        "Endpoint": account.storage.url,
        "Bucket name": account.bucket,
        "Access key ID": USER,
        "Secret access key": account.storage.users[USER],
    }.items():
        await tab.tab_to(page.get_by_role("textbox", name=re.compile(f"^{label}")))
        await page.keyboard.type(text)
    await tab.tab_to(page.get_by_label("Enabled"))
    await page.keyboard.press("Space")
    await expect(page.get_by_label("Enabled")).not_to_be_checked()
    await page.keyboard.press("Space")
    await tab.tab_to(page.get_by_role("button", name="Test", exact=True))
    await page.keyboard.press("Space")
    await expect(page.get_by_role("main").get_by_text("It works")).to_be_visible()
    await tab.tab_to(page.get_by_role("button", name="Create destination"), back=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name=re.compile("By keyboard"))).to_contain_text("Works")
    await expect(page.get_by_role("heading", name="Destinations", level=1)).to_be_focused()
