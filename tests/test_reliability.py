"""The page on reliability names what there is: tests, and the variables that make them long."""

import re
from typing import Final

import pytest

from pages import PAGES, ROOT, rows

TABLES: Final = (
    "What was accepted is not lost",
    "Files arrive, whatever the storage does",
    "Several processes on one database",
    "Nothing inside is reached, and nothing gets out",
    "Bad input and overload",
)
ROWS: Final = [row for table in TABLES for row in rows("docs/reliability.md", table)]
TEST: Final = re.compile(r"tests/[\w/]+\.py")
LONG: Final = re.compile(r"(?:^|`)((?:[A-Z_]+=\S+ )+)tests/")


def test_no_table_is_left_out() -> None:
    page = PAGES["docs/reliability.md"]
    assert tuple(heading for heading in re.findall(r"^## (.*)$", page, re.MULTILINE))[:-1] == TABLES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_promise_says_how_it_is_kept_and_names_tests_that_are_there(row: list[str]) -> None:
    promise, how, shown, printed = row
    assert promise and how and printed
    assert TEST.findall(shown) or shown == "the same" or "make fuzz" in shown
    assert [path for path in TEST.findall(shown) if not (ROOT / path).is_file()] == []


def test_each_variable_of_a_long_form_is_read_by_a_test_and_set_by_make_endurance() -> None:
    names = {one.partition("=")[0] for row in ROWS for found in LONG.findall(row[2]) for one in found.split()}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    makefile = (ROOT / "Makefile").read_text()
    assert len(names) > 15
    assert [name for name in sorted(names) if f'"{name}"' not in sources or f"{name}=" not in makefile] == []
