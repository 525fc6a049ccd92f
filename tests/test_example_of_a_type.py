"""The example of a destination type keeps what every type promises, by its own test, and is as short as it is said to be."""

import sys

from pages import EXAMPLES, blocks, example

sys.modules.setdefault("crate", example("crate"))
TestCrate = example("test_crate").TestCrate
TestCrateElsewhere = example("test_crate").TestCrateElsewhere


def test_a_whole_type_is_60_lines() -> None:
    assert len((EXAMPLES / "crate.py").read_text().splitlines()) <= 60


def test_whoever_copies_the_pieces_from_the_page_has_the_example() -> None:
    """And its test; what comes after both of them is how to use it."""
    pieces = [code for page, code in blocks("python") if page == "docs/writing-a-provider.md"]
    copied = [line for code in pieces for line in code.splitlines() if line]
    files = [(EXAMPLES / f"{name}.py").read_text() for name in ("crate", "test_crate")]
    assert copied[: -len(pieces[-1].splitlines()) + pieces[-1].count("\n\n")] == [
        line for text in files for line in text.splitlines() if line
    ]
