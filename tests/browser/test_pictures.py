"""Pictures of every screen, for people to look at: made where SCREENSHOTS names a directory, and otherwise skipped.

Where PICTURES names one too, the handful that the documentation shows is put there.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image
from playwright.async_api import Locator, Page, expect

from browser.account import Account
from browser.conftest import Open
from browser.form import fill_in
from browser.house import House
from browser.screens import SCREENS, show

pytestmark = pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="SCREENSHOTS names no directory")
COLOURS: Final = 128
MOST_BYTES: Final = 60_000
WIDE: Final = {"width": 1100, "height": 760}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light", "viewport": WIDE},
    "dark": {"color_scheme": "dark", "viewport": WIDE},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}
SHOWN: Final = (
    *("destinations-light", "destinations-dark", "test-failed-light", "test-failed-dark"),
    *("collection-light", "result-set-light", "charts-light", "deliveries-narrow"),
)
"""Those that the documentation shows."""


@pytest.fixture
def directory() -> Path:
    """Where they go."""
    path = Path(os.environ["SCREENSHOTS"])
    path.mkdir(parents=True, exist_ok=True)
    return path


async def picture(of: Page | Locator, path: Path, **options: Any) -> None:
    """Take a picture, in few colours."""
    await of.screenshot(path=path, animations="disabled", caret="hide", **options)
    with Image.open(path) as taken:
        taken.convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    shown = os.environ.get("PICTURES")
    if shown and path.stem in SHOWN:
        assert path.stat().st_size < MOST_BYTES
        Path(shown).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, shown)


@pytest.mark.parametrize("look", LOOKS)
async def test_pictures_of_every_screen(house: House, open_tab: Open, directory: Path, look: str) -> None:
    account = house.account
    tab = await open_tab(account.url, account.key, **LOOKS[look])
    await tab.open()
    await expect(tab.page.get_by_label("API key")).to_be_focused()
    await picture(tab.page, directory / f"login-{look}.png")
    await tab.enter(account.key)
    for name, screen in SCREENS.items():
        await show(tab, house, name)
        await picture(tab.page, directory / f"{name}-{look}.png", full_page=not screen.opens)
        await tab.page.reload()
        await tab.arrived()
    await tab.open(page="docs/")
    await expect(tab.page.get_by_role("article").first).to_be_visible()
    await picture(tab.page, directory / f"docs-{look}.png")


@pytest.mark.parametrize("look", LOOKS)
async def test_pictures_of_the_test_of_a_destination(
    account: Account, open_tab: Open, directory: Path, look: str
) -> None:
    tab = await open_tab(account.url, account.key, **LOOKS[look])
    await tab.enter(account.key, "#/destinations/new")
    for name, secret, verdict in (("failed", "wrong", "Check the access key"), ("passed", "", "It works")):
        await fill_in(tab.page, account, secret=secret)
        await tab.page.get_by_role("button", name="Test", exact=True).click()
        await expect(tab.page.get_by_role("main").get_by_text(verdict)).to_be_visible()
        await expect(tab.page.get_by_text("The smallest policy")).to_be_visible()
        await tab.page.evaluate("scrollTo(0, 0)")
        await picture(tab.page, directory / f"destination-{name}-{look}.png", full_page=True)
        await picture(tab.page.locator(".result"), directory / f"test-{name}-{look}.png")
