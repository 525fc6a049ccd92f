"""Puts what was measured into a page of the documentation: between two comments, of which the first one names it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BLOCK: Final = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def refreshed(text: str, blocks: Mapping[str, str]) -> str:
    """Return the page with these blocks in it; raises KeyError if it wants one that there is not."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", text)


def refresh(page: Path, blocks: Mapping[str, str]) -> None:
    """Write the page anew with these blocks in it."""
    page.write_text(refreshed(page.read_text(), blocks))
