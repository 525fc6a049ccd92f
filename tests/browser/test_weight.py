"""How much is sent, and how soon the console can be used."""

from collections.abc import Callable

from playwright.async_api import Response, expect

from browser.account import Account
from browser.house import House
from browser.screens import SCREENS, close, show
from browser.tab import Tab

MOST_BYTES = 100_000
INTERACTIVE = 30_000
"""Milliseconds that it never takes; how many it took is told."""
Tell = Callable[[str, object], None]
_SINCE = "performance.now()"


async def test_all_screens_together_weigh_less_than_a_hundred_kilobytes(
    tab: Tab, house: House, record_property: Tell
) -> None:
    """As they are sent, compressed; each file once, and only when a screen needs it."""
    answers: list[Response] = []
    tab.page.on("response", lambda answer: answers.append(answer))
    await tab.enter(house.account.key)
    first = len(answers)
    for name in SCREENS:
        await show(tab, house, name)
        await close(tab)
    # The browser asks for the icon at each step, for nothing may be kept.
    files = [answer for answer in answers if "/console/" in answer.url and not answer.url.endswith("icon.svg")]
    sizes = {answer.url.rpartition("/")[2] or "index.html": await _sent(answer) for answer in files}
    early = sum([await _sent(answer) for answer in answers[:first] if answer in files])
    record_property(
        "told", f"weight: {sum(sizes.values())} bytes in {len(sizes)} files, {early} of them before the first screen"
    )
    assert sorted(answer.url for answer in files) == sorted({answer.url for answer in files})
    assert sum(sizes.values()) < MOST_BYTES


async def _sent(answer: Response) -> int:
    sizes = await answer.request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


async def test_it_can_be_used_at_once(tab: Tab, account: Account, record_property: Tell) -> None:
    """From the first byte asked for until a key can be typed in, and until the list is there."""
    await tab.open()
    await expect(tab.page.get_by_label("API key")).to_be_focused()
    login = float(await tab.page.evaluate(_SINCE))
    await tab.hold(account.key)
    await tab.open()
    await tab.arrived()
    listed = float(await tab.page.evaluate(_SINCE))
    record_property("told", f"interactive: login after {login:.0f} ms, destinations after {listed:.0f} ms")
    assert max(login, listed) < INTERACTIVE
