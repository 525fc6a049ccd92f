"""From the upload of a result set to its files in the bucket, on the screen and in the storage."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, expect

from browser.account import Account
from browser.tab import Tab
from fakes.chaos_process import ChaosServer

CONTENT = b"day,visits\n2030-01-01,1200\n"
FOLDER = "results/Daily figures"


def file(name: str, content: bytes = CONTENT) -> Any:
    """Return a file as a person chooses it."""
    return {"name": name, "mimeType": "text/csv", "buffer": content}


async def choose(tab: Tab, *files: Any) -> None:
    """Choose files by the button of the upload."""
    async with tab.page.expect_file_chooser() as chooser:
        await tab.page.get_by_text(re.compile("^(Choose|Add) files$")).click()
    await (await chooser.value).set_files(list(files))


def card(tab: Tab, name: str) -> Locator:
    """Return what is shown of the delivery to a destination."""
    return tab.page.get_by_role("region", name=name)


async def test_a_result_set_is_uploaded_arrives_and_is_sent_again(tab: Tab, account: Account) -> None:
    """A collection is made on the screen, too; each step is seen there before it is seen in the bucket."""
    await account.destination("Reports")
    page = tab.page
    await tab.enter(account.key, "#/collections")
    await page.get_by_role("main").get_by_role("link", name="New collection").first.click()
    await page.get_by_role("textbox", name="Name", exact=True).fill("Daily figures")
    await page.get_by_role("checkbox", name=re.compile("Reports")).check()
    await page.get_by_role("button", name="Create collection").click()
    await expect(page.get_by_role("heading", name="Daily figures", level=1)).to_be_focused()
    await choose(tab, file("visits.csv"), file("prices.csv", b"1,2\n"))
    await tab.said("2 files chosen")
    await page.get_by_role("button", name="Upload 2 files").click()
    await expect(page.get_by_role("heading", name="Result set 1", level=1)).to_be_focused()
    await expect(card(tab, "Reports")).to_contain_text("Delivered")
    await expect(card(tab, "Reports")).to_contain_text("2 of 2 files")
    assert await account.keys() == [f"{FOLDER}/1/prices.csv", f"{FOLDER}/1/visits.csv"]
    assert await account.storage.read("test:tester", account.bucket, f"{FOLDER}/1/visits.csv") == CONTENT
    account.storage.checked("test:tester", "DELETE", f"/{account.bucket}/{FOLDER}/1/visits.csv")
    await tab.hush()
    await card(tab, "Reports").get_by_role("button", name="Send again to Reports").click()
    await tab.said("Reports: Delivered")
    assert await account.keys() == [f"{FOLDER}/1/prices.csv", f"{FOLDER}/1/visits.csv"]


async def test_files_that_are_dropped_are_uploaded(tab: Tab, account: Account, tmp_path: Path) -> None:
    """As from the desktop: the browser is told of a real drag of real files."""
    collection = await account.collection("Daily figures", await account.destination("Reports"))
    paths = [tmp_path / name for name in ("one.csv", "two.csv")]
    for path in paths:
        path.write_bytes(CONTENT)
    await tab.enter(account.key, f"#/collections/{collection}")
    await drop(tab, tab.page.get_by_role("region", name="Upload a result set"), paths)
    await expect(tab.page.get_by_text("one.csv")).to_be_visible()
    await tab.page.get_by_role("button", name="Upload 2 files").click()
    await expect(card(tab, "Reports")).to_contain_text("Delivered")
    assert await account.keys() == [f"{FOLDER}/1/one.csv", f"{FOLDER}/1/two.csv"]


async def test_a_folder_that_is_dropped_is_refused_in_words(tab: Tab, account: Account, tmp_path: Path) -> None:
    collection = await account.collection("Daily figures")
    (tmp_path / "folder").mkdir()
    await tab.enter(account.key, f"#/collections/{collection}")
    await drop(tab, tab.page.get_by_role("region", name="Upload a result set"), [tmp_path / "folder"])
    await expect(tab.page.get_by_role("alert")).to_contain_text("A folder can't be uploaded: folder")


async def drop(tab: Tab, target: Locator, paths: list[Path]) -> None:
    """Drag files from elsewhere to the middle of an element, and let them go there."""
    await target.scroll_into_view_if_needed()
    box = await target.bounding_box()
    assert box is not None
    session = await tab.page.context.new_cdp_session(tab.page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})
    await session.detach()


async def test_names_that_the_service_refuses_are_said_before_anything_is_sent(tab: Tab, account: Account) -> None:
    collection = await account.collection("Daily figures")
    await tab.enter(account.key, f"#/collections/{collection}")
    await choose(tab, file("visits.csv"), file("VISITS.csv"), file("visits.csv"))
    await expect(tab.page.get_by_role("alert")).to_contain_text("1 of the files can't be uploaded")
    upload = tab.page.get_by_role("button", name="Upload 3 files")
    await expect(upload).to_be_disabled()
    await tab.page.get_by_role("button", name="Remove visits.csv").first.click()
    await expect(tab.page.get_by_role("button", name="Upload 2 files")).to_be_enabled()
    assert not [request for request in tab.requests if request.method == "POST"]


async def test_a_delivery_that_fails_says_why_and_is_repeated_once_that_is_mended(
    tab: Tab, account: Account, chaos: ChaosServer
) -> None:
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
    lake = await account.destination("Lake", **theirs, s3_bucket_name="acme-lake")
    collection = await account.collection("Daily figures", lake)
    chaos.set_faults(bucket="acme-lake", refuse=1.0, on=["put"])
    number = await account.hand_over(collection, {"visits.csv": CONTENT})
    page = tab.page
    await tab.enter(account.key, f"#/collections/{collection}/results/{number}")
    await expect(card(tab, "Lake")).to_contain_text("Failed")
    await expect(card(tab, "Lake")).to_contain_text("access_denied")
    await card(tab, "Lake").get_by_role("link", name="Lake").click()
    await expect(page.get_by_role("table", name="Uploads of single files, newest first")).to_contain_text(
        "AccessDenied"
    )
    await expect(page.get_by_text("Lake needs attention")).to_be_visible()
    await expect(page.get_by_text("Give this key the right to write").filter(visible=True).first).to_be_visible()
    chaos.set_faults(bucket="acme-lake")
    await page.get_by_role("button", name="Send again").click()
    await expect(page.get_by_text("Delivered").first).to_be_visible()
    await tab.said("Delivered")
    assert chaos.content(f"acme-lake/{FOLDER}/1/visits.csv") == CONTENT
    await tab.go("#/destinations")
    await expect(page.get_by_role("row", name=re.compile("Lake"))).to_contain_text("Delivered")


async def test_all_that_failed_at_a_destination_is_repeated_at_once(
    tab: Tab, account: Account, chaos: ChaosServer
) -> None:
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
    lake = await account.destination("Lake", **theirs, s3_bucket_name="acme-many")
    collection = await account.collection("Daily figures", lake)
    chaos.set_faults(bucket="acme-many", refuse=1.0, on=["put"])
    for _ in range(3):
        await account.ended(collection, await account.hand_over(collection, {"visits.csv": CONTENT}))
    chaos.set_faults(bucket="acme-many")
    await tab.enter(account.key, f"#/destinations/{lake}")
    await tab.page.get_by_role("button", name="Repeat what failed").click()
    await expect(tab.page.get_by_role("main").get_by_text("3 deliveries are repeated.")).to_be_visible()
    for number in (1, 2, 3):
        assert (await account.ended(collection, number))[lake]["status"] == "success"


async def test_a_delivery_is_watched_while_its_files_arrive(tab: Tab, account: Account, chaos: ChaosServer) -> None:
    """The storage is slow: the screen shows some files as arrived before all are."""
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
    lake = await account.destination("Lake", **theirs, s3_bucket_name="acme-watched")
    collection = await account.collection("Daily figures", lake)
    chaos.set_faults(bucket="acme-watched", delay=700, on=["put"])
    number = await account.hand_over(collection, {f"{one}.csv": CONTENT for one in range(12)})
    await tab.enter(account.key, f"#/collections/{collection}/results/{number}")
    await expect(card(tab, "Lake")).to_contain_text("Uploading")
    await expect(card(tab, "Lake")).to_contain_text(re.compile(r"[1-9] of 12 files"))
    await expect(card(tab, "Lake")).to_contain_text("Delivered")
    await expect(card(tab, "Lake")).to_contain_text("12 of 12 files")
    await tab.said("Lake: Delivered")


async def test_a_file_is_downloaded_as_it_was_handed_over(tab: Tab, account: Account) -> None:
    collection = await account.collection("Daily figures")
    number = await account.hand_over(collection, {"visits.csv": CONTENT})
    await tab.enter(account.key, f"#/collections/{collection}/results/{number}")
    async with tab.page.expect_download() as download:
        await tab.page.get_by_role("button", name=re.compile("Download")).click()
    assert Path(await (await download.value).path()).read_bytes() == CONTENT


async def test_the_secret_of_a_webhook_is_shown_once(tab: Tab, account: Account, chaos: ChaosServer) -> None:
    page = tab.page
    await tab.enter(account.key, "#/collections/new")
    await page.get_by_role("textbox", name="Name", exact=True).fill("Daily figures")
    await page.get_by_role("textbox", name=re.compile("^Webhook \\(")).fill(f"{chaos.url}/hook")
    await page.get_by_role("button", name="Create collection").click()
    await expect(page.get_by_role("heading", name="Keep this secret")).to_be_focused()
    await expect(page.get_by_label("Webhook secret")).to_have_text(re.compile("^whsec_"))
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_role("heading", name="Daily figures")).to_be_focused()
    assert "whsec_" not in json.dumps(await account.ask("GET", "/collections"))


async def test_a_collection_is_changed_and_deleted(tab: Tab, account: Account) -> None:
    collection = await account.collection("Daily figures")
    page = tab.page
    await tab.enter(account.key, f"#/collections/{collection}")
    await page.get_by_role("link", name="Edit").click()
    await page.get_by_role("textbox", name="Name", exact=True).fill("Weekly figures")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Weekly figures")).to_be_focused()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete collection").click()
    await expect(page.get_by_role("heading", name="Collections", level=1)).to_be_focused()
    assert (await account.ask("GET", "/collections"))["total_count"] == 0


async def test_deliveries_are_chosen_by_what_became_of_them(tab: Tab, account: Account, chaos: ChaosServer) -> None:
    theirs = {"s3_endpoint": chaos.url, "s3_access_key_id": chaos.key_id, "s3_secret_access_key": chaos.secret}
    lake = await account.destination("Lake", **theirs, s3_bucket_name="acme-chosen")
    collection = await account.collection("Daily figures", lake, await account.destination("Reports"))
    chaos.set_faults(bucket="acme-chosen", refuse=1.0, on=["put"])
    await account.ended(collection, await account.hand_over(collection, {"visits.csv": CONTENT}))
    await tab.enter(account.key, "#/deliveries")
    rows = tab.page.get_by_role("table", name="Deliveries, newest first").get_by_role("row")
    await expect(rows).to_have_count(3)
    await tab.page.get_by_label("Status").select_option(label="Failed")
    await expect(rows).to_have_count(2)
    await expect(rows.last).to_contain_text("Lake")
    await tab.said("1 deliver")
    await tab.page.get_by_label("Status").select_option(label="Delivered")
    await expect(rows.last).to_contain_text("Reports")
