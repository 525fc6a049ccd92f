"""What holds on every screen: people who see little, type only, or have a narrow window can use it, and nothing is markup."""

from collections.abc import Callable
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import expect

from browser.axe import GRAVE, findings
from browser.conftest import Open
from browser.house import House
from browser.screens import SCREENS, close, show
from browser.tab import Tab

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
NARROW = (360, 320)
Tell = Callable[[str, object], None]
_EDGE = """
(control) => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((one) => one / 255);
    const [red, green, blue] = parts.map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  const ratio = (one, other) => Math.max(one / other, other / one);
  const { borderTopColor: edge, backgroundColor: inside } = getComputedStyle(control);
  return ratio(light(edge), light(inside));
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def inside(house: House, open_tab: Open) -> Tab:
    """A tab in which the house is open."""
    tab = await open_tab(house.account.url, house.account.key)
    await tab.enter(house.account.key)
    return tab


async def graver(tab: Tab, name: str, tell: Tell) -> list[str]:
    """Return what axe-core finds on this screen that is grave, in both themes; all that it finds is told."""
    grave = []
    for theme in THEMES:
        await tab.page.emulate_media(color_scheme=theme)
        found = await findings(tab.page)
        for one in found:
            tell("told", f"axe: {name}, {theme}: {one}")
        tell("told", f"axe: {name}, {theme}: {len(found)} findings")
        grave += [f"{theme}: {one}" for one in found if one.impact in GRAVE]
    return grave


@pytest.mark.parametrize("name", SCREENS)
async def test_axe_finds_nothing_grave(inside: Tab, house: House, name: str, record_property: Tell) -> None:
    await show(inside, house, name)
    assert not await graver(inside, name, record_property)


async def test_axe_finds_nothing_grave_at_the_login(tab: Tab, record_property: Tell) -> None:
    """Neither before nor after a mistake."""
    await tab.open()
    await tab.page.get_by_label("API key").press("Enter")
    await expect(tab.page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    assert not await graver(tab, "login", record_property)


async def test_axe_would_find_something(tab: Tab) -> None:
    """A control without a name, and text that can hardly be read."""
    await tab.open()
    await expect(tab.page.get_by_label("API key")).to_be_focused()
    await tab.page.evaluate("document.querySelector('label').remove()")
    await tab.page.evaluate("document.querySelector('h1').style.color = '#ccc'")
    found = {one.rule for one in await findings(tab.page) if one.impact in GRAVE}
    assert {"label", "color-contrast"} <= found


@pytest.mark.parametrize("theme", THEMES)
async def test_where_a_control_ends_can_be_seen(inside: Tab, house: House, theme: Theme) -> None:
    """WCAG 1.4.11: at least 3 to 1 between its edge and what is around it, which axe-core does not look at."""
    await inside.page.emulate_media(color_scheme=theme)
    await show(inside, house, "destination-new")
    controls = inside.page.get_by_role("main").locator("input[type=text], select, button:not(.quiet):not(.primary)")
    ratios = [await control.evaluate(_EDGE) for control in await controls.all()]
    assert ratios and min(ratios) >= 3


@pytest.mark.parametrize("width", NARROW)
async def test_no_screen_is_wider_than_a_narrow_window(inside: Tab, house: House, width: int) -> None:
    await inside.page.set_viewport_size({"width": width, "height": 640})
    wide = {}
    for name in SCREENS:
        await show(inside, house, name)
        wide[name] = await inside.overflow()
        await close(inside)
    assert wide == dict.fromkeys(SCREENS, 0)


async def test_what_is_too_wide_would_be_noticed(tab: Tab) -> None:
    await tab.open()
    await tab.page.evaluate("document.querySelector('main').style.minWidth = '4000px'")
    assert await tab.overflow() > 1000


async def test_nothing_moves_for_those_who_asked_for_that(inside: Tab, house: House) -> None:
    moving = "document.getAnimations().length"
    await show(inside, house, "result-set-moving")
    assert await inside.page.evaluate(moving) > 0
    await inside.page.emulate_media(reduced_motion="reduce")
    assert await inside.page.evaluate(moving) == 0


@pytest.mark.parametrize("name", [name for name, screen in SCREENS.items() if not screen.opens])
async def test_the_focus_is_on_the_heading_of_a_screen_that_was_gone_to(inside: Tab, house: House, name: str) -> None:
    """So that who listens hears where they are; a screen has one such heading, and a title of its own."""
    await show(inside, house, name)
    heading = inside.page.get_by_role("heading", level=1)
    await expect(heading).to_have_count(1)
    await expect(heading).to_be_focused()
    assert (await inside.page.title()).endswith(" consignee")


async def test_who_types_can_skip_to_the_content(inside: Tab) -> None:
    await inside.page.reload()
    await inside.arrived()
    await inside.page.keyboard.press("Tab")
    await expect(inside.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await inside.page.keyboard.press("Enter")
    await expect(inside.page.get_by_role("main")).to_be_focused()


async def test_every_control_that_has_the_focus_shows_it(inside: Tab, house: House) -> None:
    """Each stop of the Tab key on the busiest screen has an outline."""
    await show(inside, house, "destinations")
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    for _ in range(20):
        await inside.page.keyboard.press("Tab")
        assert await inside.page.evaluate(outline) != "none", await inside.page.evaluate(
            "document.activeElement.outerHTML"
        )


async def test_every_screen_can_be_opened_without_a_word_from_the_policy(house: House, open_tab: Open) -> None:
    """By its own address, afresh: so each brings all that it needs."""
    tab = await open_tab(house.account.url, house.account.key)
    await tab.enter(house.account.key)
    for name in SCREENS:
        await tab.page.reload()
        await tab.arrived()
        await show(tab, house, name)
        await close(tab)
    tab.check()
    assert len({request.url for request in tab.requests}) > len(SCREENS)
