"""The page /docs: it shows the OpenAPI document, offline and under the same policy."""

import re
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from browser.account import Account
from browser.axe import GRAVE, findings
from browser.tab import Tab

Tell = Callable[[str, object], None]


async def test_every_route_is_there_and_found_by_its_words(tab: Tab, account: Account) -> None:
    """No key is needed, and nothing from elsewhere."""
    page = tab.page
    await tab.open(page="docs")
    await expect(page.get_by_role("article").first).to_be_visible()
    async with account.session.get(f"{account.url}openapi.json") as response:
        paths = (await response.json())["paths"]
    for path in paths:
        await expect(page.get_by_role("heading", level=3).filter(has_text=path).first).to_be_attached()
    await page.get_by_label(re.compile("^Search")).fill("idempotency_key_reused")
    await expect(page.get_by_role("status")).to_have_text(re.compile("^[1-9][0-9]* found$"))
    await page.get_by_label(re.compile("^Search")).fill("no such words at all")
    await expect(page.get_by_role("status")).to_have_text("0 found")
    await expect(page.get_by_role("article")).to_have_count(0)


async def test_a_link_to_a_part_of_it_leads_there(tab: Tab) -> None:
    await tab.open("#error-codes", page="docs/")
    await expect(tab.page.locator("#error-codes")).to_be_focused()
    await expect(tab.page.locator("#error-codes")).to_be_in_viewport()


async def test_an_address_that_leads_nowhere_shows_all_of_it(tab: Tab) -> None:
    await tab.open("#%", page="docs/")
    await expect(tab.page.get_by_role("article").first).to_be_visible()
    await expect(tab.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_grave_in_the_reference(tab: Tab, theme: str, record_property: Tell) -> None:
    """In the dark at a part alone: all of it is drawn alike, and is much to look at."""
    await tab.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    await tab.open(page="docs/")
    await expect(tab.page.get_by_role("article").first).to_be_visible()
    if theme == "dark":
        await tab.page.get_by_label(re.compile("^Search")).fill("left_behind")
        await expect(tab.page.get_by_role("status")).to_have_text(re.compile("found$"))
    found = await findings(tab.page)
    for one in found:
        record_property("told", f"axe: reference, {theme}: {one}")
    record_property("told", f"axe: reference, {theme}: {len(found)} findings")
    assert not [str(one) for one in found if one.impact in GRAVE]


async def test_the_reference_is_not_wider_than_a_narrow_window(tab: Tab) -> None:
    await tab.page.set_viewport_size({"width": 360, "height": 640})
    await tab.open(page="docs/")
    await expect(tab.page.get_by_role("article").first).to_be_visible()
    assert await tab.overflow() == 0
