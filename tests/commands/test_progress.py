"""How progress is shown."""

import io
import os

import pytest

from consignee.commands.progress import Bars, Lines, Row, progress_on, size


def test_elsewhere_than_on_a_terminal_only_changes_are_told() -> None:
    out = io.StringIO()
    lines = Lines(out)
    for done, text in ((0, "pending"), (1, "uploading"), (2, "uploading"), (3, "success")):
        lines.show([Row("First", done, 3, text), Row("Second", 0, 3, "pending")])
    assert out.getvalue() == "First: pending\nSecond: pending\nFirst: uploading\nFirst: success\n"


@pytest.mark.parametrize(
    ("done", "total", "bar"),
    [
        (0, 4, "[--------------------]   0%"),
        (1, 4, "[#####---------------]  25%"),
        (5, 4, "[####################] 100%"),
        (0, 0, "[####################] 100%"),
    ],
)
def test_a_bar_is_as_full_as_there_are_bytes(done: int, total: int, bar: str) -> None:
    out = io.StringIO()
    Bars(out).show([Row("Mine", done, total, "uploading")])
    assert out.getvalue() == f"\x1b[?7l\rMine {bar}  uploading\x1b[K\n\x1b[?7h"


def test_bars_are_drawn_again_only_where_something_changed() -> None:
    out = io.StringIO()
    bars = Bars(out)
    for done in (1, 1, 2):
        bars.show([Row("a", done, 2, ""), Row("b", 0, 2, "")])
    assert out.getvalue().count("\x1b[?7l") == 2
    assert out.getvalue().count("\x1b[2A") == 1


def test_bars_are_for_terminals_alone() -> None:
    master, slave = os.openpty()
    with open(slave, "w") as terminal:
        assert isinstance(progress_on(terminal), Bars)
    os.close(master)
    assert isinstance(progress_on(io.StringIO()), Lines)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (350_791, "350.8 KB"),
        (5_000_000_000, "5.0 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_said_as_people_say_them(count: int, said: str) -> None:
    assert size(count) == said
