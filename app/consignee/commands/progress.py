"""How far something is: a bar for each line on a terminal, and a line for each change elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TextIO

_WIDTH: Final = 20
_LONGEST_NAME: Final = 24
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Row:
    """How far one thing is; `done` of `total` are bytes, and `text` says the rest."""

    name: str
    done: int
    total: int
    text: str


class Progress(Protocol):
    """Where rows are shown."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show the rows in place of those that were shown before; the order stays the same."""


class Lines:
    """A line for each row whose text changed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: dict[int, str] = {}

    def show(self, rows: Sequence[Row]) -> None:
        """Print what changed."""
        for number, row in enumerate(rows):
            if self._shown.get(number) != row.text:
                self._shown[number] = row.text
                print(f"{row.name}: {row.text}", file=self._out, flush=True)


class Bars:
    """A bar for each row, drawn over what was drawn before."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = 0
        self._last = ""

    def show(self, rows: Sequence[Row]) -> None:
        """Draw the rows. Lines that are too long are cut off by the terminal: wrapped, they would be in the way."""
        width = min(max((len(row.name) for row in rows), default=0), _LONGEST_NAME)
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        lines = "".join(f"\r{_line(row, width)}\x1b[K\n" for row in rows)
        if lines != self._last:
            self._out.write(f"\x1b[?7l{up}{lines}\x1b[?7h")
            self._out.flush()
        self._drawn, self._last = len(rows), lines


def _line(row: Row, width: int) -> str:
    share = min(row.done / row.total, 1.0) if row.total else 1.0
    full = int(share * _WIDTH)
    return f"{row.name[:width]:{width}} [{'#' * full}{'-' * (_WIDTH - full)}] {share:4.0%}  {row.text}"


def progress_on(out: TextIO) -> Progress:
    """Return the way to show progress that suits the stream."""
    return Bars(out) if out.isatty() else Lines(out)


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    power = min((len(str(count)) - 1) // 3, len(_UNITS) - 1)
    return f"{count / 1000**power:.1f} {_UNITS[power]}" if power else f"{count} bytes"
