"""axe-core: what it finds on a page that hinders people."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from playwright.async_api import Page

GRAVE: Final = ("serious", "critical")
_RUN: Final = """
async () => {
  const options = { preload: false, resultTypes: ["violations", "incomplete"] };
  const { violations, incomplete } = await axe.run(document, options);
  const targets = (one) => one.nodes.map((node) => node.target.join(" "));
  const told = (one) => ({ id: one.id, impact: one.impact ?? "", help: one.help, targets: targets(one) });
  return { violations: violations.map(told), incomplete: incomplete.map(told) };
}
"""


@dataclass(frozen=True)
class Finding:
    """A rule that is broken, how badly, and where."""

    rule: str
    impact: str
    help: str
    targets: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.impact}: {self.rule}: {self.help}: {', '.join(self.targets)}"


@cache
def _source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


async def findings(page: Page) -> list[Finding]:
    """Return what axe-core finds on the page, and what it could not decide, as `undecided`."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_source())
    found: dict[str, list[dict[str, Any]]] = await page.evaluate(_RUN)
    wrong = [_finding(one, one["impact"]) for one in found["violations"]]
    return wrong + [_finding(one, "undecided") for one in found["incomplete"]]


def _finding(one: dict[str, Any], impact: str) -> Finding:
    return Finding(one["id"], impact, one["help"], tuple(one["targets"]))
