"""A tab that writes down what a person would not see: requests, errors, and what the security policy refused."""

from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Locator, Page, Request

_FAILED: Final = "Failed to load resource"
"""What the browser says by itself of each answer that is no success."""
_WATCH: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.effectiveDirective} ${event.blockedURI}`));
window.said = [];
new MutationObserver(() => {
  for (const one of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
    const text = one.innerText.trim();
    if (text && window.said.at(-1) !== text) window.said.push(text);
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
_MOST_TABS: Final = 100
_SAID: Final = "(pattern) => window.said.some((text) => new RegExp(pattern, 'i').test(text))"


class Tab:
    """A page of the service at `url`, which ends with a slash; `secrets` must not be in any address."""

    def __init__(self, page: Page, url: str, *secrets: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self._secrets = secrets
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.complaints.append(f"raised: {error}"))
        page.on("console", self._heard)

    async def watch(self) -> None:
        """Begin; to be called before anything is opened."""
        await self.page.add_init_script(_WATCH)

    async def open(self, fragment: str = "", *, page: str = "console/") -> None:
        """Open a page of the service, afresh."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}{page}{fragment}")

    async def enter(self, key: str, fragment: str = "") -> None:
        """Open the console with a key, and go to a screen of it."""
        await self.hold(key)
        await self.open()
        await self.arrived()
        if fragment:
            await self.go(fragment)

    async def hold(self, key: str) -> None:
        """Let the tab's session hold a key, as if somebody had logged in here."""
        await self.page.goto(f"{self.url}healthz")
        kept = [f"consignee:{urlsplit(self.url).path}", key]
        await self.page.evaluate("([name, key]) => sessionStorage.setItem(name, key)", kept)

    async def go(self, fragment: str) -> None:
        """Go to another screen, as by a link, and wait until it is there."""
        await self.page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
        await self.arrived()

    async def arrived(self) -> None:
        """Wait until a screen is there."""
        await self.page.wait_for_function(
            "() => { const main = document.querySelector('main');"
            " return main && !main.hasAttribute('aria-busy') && main.querySelector('h1'); }"
        )

    async def said(self, pattern: str) -> None:
        """Wait until something that the pattern fits was announced, in any case, and forget what was."""
        await self.page.wait_for_function(_SAID, arg=pattern)
        await self.hush()

    async def hush(self) -> None:
        """Forget what was announced."""
        await self.page.evaluate("() => { window.said = []; }")

    async def tab_to(self, control: Locator, *, back: bool = False) -> None:
        """Press Tab, or Shift+Tab, until the control has the focus; fails if it never gets it."""
        for _ in range(_MOST_TABS):
            await self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if await control.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError(f"the focus never comes to {control}")

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(
            await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def check(self) -> None:
        """Fail if anything was refused by the policy or raised, left the origin, or told a secret in an address."""
        assert not self.complaints, self.complaints
        addresses = [request.url.partition("#")[0] for request in self.requests]
        strange = [url for url in addresses if not url.startswith((_origin(self.url), "about:", "blob:", "data:"))]
        assert not strange, f"requests left the origin: {strange}"
        assert not [url for url in addresses for secret in self._secrets if secret in url], "a secret is in an address"

    # Playwright marks what it calls, and a list's own method can't be marked.
    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_FAILED):
            self.complaints.append(f"{message.type}: {message.text}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"
