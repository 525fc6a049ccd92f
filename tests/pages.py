"""Reading the documentation: its pages, blocks of code, tables, anchors and examples."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))}
CHANCE = {"id", "at", "date_time", "ms", "provider_request_id", "s3_endpoint"}
CHANCE |= {"created_at", "updated_at", "started_at", "ended_at", "expires_at"}
"""Members of answers that differ from one run to the next."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: list[tuple[str, str, str]] = [
    (page, language, code) for page, text in PAGES.items() for language, code in FENCE.findall(text)
]


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the code in that language, each with its page."""
    return [(page, code) for page, found, code in BLOCKS if found == language]


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without the backticks around a whole cell."""
    section = re.split(r"^##+ ", PAGES[page], flags=re.MULTILINE)
    (body,) = [part for part in section if part.startswith(f"{heading}\n")]
    table = body[body.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    return [[re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in line.split("|")[1:-1]] for line in table[2:]]


def paragraph(page: str, beginning: str) -> str:
    """Return the paragraph that begins so, in one line."""
    (found,) = [part for part in PAGES[page].split("\n\n") if part.startswith(beginning)]
    return " ".join(found.split())


def anchors(page: str) -> set[str]:
    """Return the anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", PAGES[page]), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def example(name: str) -> ModuleType:
    """Return the module that an example is."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(told: object, real: object, where: str = "") -> list[str]:
    """Return where an answer is not as told: what is null may be left out, what is left to chance has the same type."""
    if isinstance(told, dict) and isinstance(real, dict):
        names = set(told) | {name for name in real if real[name] is not None}
        return [found for name in names for found in differences(told.get(name), real.get(name), name)]
    if isinstance(told, list) and isinstance(real, list) and len(told) == len(real):
        return [found for pair in zip(told, real, strict=True) for found in differences(*pair, where)]
    right = type(told) is type(real) if where in CHANCE else told == real
    return [] if right else [f"{where}: {told!r} is documented, {real!r} is answered"]
