"""Every screen: how to get there, and what is on it when all of it is there."""

from dataclasses import dataclass
from typing import Final

from playwright.async_api import expect

from browser.house import House
from browser.tab import Tab


@dataclass(frozen=True)
class Screen:
    """`fragment` may name ids of the house; `shows` is a text that comes last. `opens` is a button to press there."""

    fragment: str
    shows: str
    opens: str = ""


SCREENS: Final = {
    "destinations": Screen("#/destinations", "Delivered"),
    "destination-new": Screen("#/destinations/new", "Choose where the bucket is"),
    "destination": Screen("#/destinations/{failing}", "The smallest policy"),
    "delete": Screen("#/destinations/{working}", "The smallest policy", opens="Delete"),
    "collections": Screen("#/collections", "of 50 collections are used"),
    "collection-new": Screen("#/collections/new", "Create collection"),
    "collection": Screen("#/collections/{collection}", "Result set 2"),
    "collection-edit": Screen("#/collections/{collection}?edit=1", "Save"),
    "result-set": Screen("#/collections/{collection}/results/2", "visits.csv"),
    "result-set-moving": Screen("#/collections/{moving}/results/1", "Uploading"),
    "deliveries": Screen("#/deliveries", "Delivered"),
    "delivery": Screen("#/deliveries/{collection}.0000000002.{failing}", "AccessDenied"),
    "charts": Screen("#/charts", "By destination"),
    "nowhere": Screen("#/collections/FFFFFFFF", "There is no such collection"),
}
"""By name; besides them there are the login and the reference."""


async def show(tab: Tab, house: House, name: str) -> None:
    """Go to a screen, and wait until all of it is there. The tab is logged in."""
    screen = SCREENS[name]
    await tab.go(house.fragment(screen.fragment))
    main = tab.page.get_by_role("main")
    await expect(main.get_by_text(screen.shows).filter(visible=True).first).to_be_visible()
    if screen.opens:
        await main.get_by_role("button", name=screen.opens, exact=True).click()
        await expect(tab.page.get_by_role("dialog")).to_be_visible()


async def close(tab: Tab) -> None:
    """Close the dialog, if one is open."""
    if await tab.page.get_by_role("dialog").count():
        await tab.page.keyboard.press("Escape")
        await expect(tab.page.get_by_role("dialog")).to_have_count(0)
