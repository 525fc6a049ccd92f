"""A section of the page: a table of contenders whose turns were taken in rounds, or of figures that were found once."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from scaling.gauges import Reading

LIMITS: Final = 3
"""How many of the things that the database waits for are named."""
Figures = Mapping[str, float]
Cell = Callable[[float], str]


@dataclass(frozen=True)
class Section:
    """What a table shows, and what has to be known to read it. `figures` are medians by contender, for other tables."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    figures: Mapping[str, Figures] = field(default_factory=dict)

    def render(self) -> str:
        """Return it as Markdown."""
        return "\n".join(
            [f"## {self.title}", "", *([self.note, ""] if self.note else []), table(self.header, self.rows)]
        )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    return "\n".join([*(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)), ""])


@dataclass(frozen=True)
class Turn:
    """What one contender did in one turn: so many units, what was read meanwhile, and further figures."""

    units: float
    reading: Reading
    more: Figures

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.reading.seconds

    def cpu(self, group: str) -> float:
        """Milliseconds of CPU that this kind of process took for a unit."""
        return 1000 * self.reading.cpu.get(group, 0.0) / self.units

    def count(self, name: str) -> float:
        """What the database counted of this, for a unit."""
        return self.reading.counts.get(name, 0.0) / self.units


Take = Callable[[], Awaitable[Turn]]


async def take_turns(contenders: Mapping[str, Take], rounds: int, tell: Callable[[str], None]) -> dict[str, list[Turn]]:
    """Let each have so many turns, each round beginning with another one."""
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            turns[name].append(await contenders[name]())
            tell(f"round {number + 1}, {name}: {turns[name][-1].rate:.4g}/s")
    return turns


def median(turns: Sequence[Turn], figure: Callable[[Turn], float]) -> float:
    """Return the median of the turns."""
    return statistics.median(map(figure, turns))


def figures(turns: Mapping[str, Sequence[Turn]]) -> dict[str, Figures]:
    """Return the medians of each contender."""
    return {name: _medians(taken) for name, taken in turns.items()}


def _medians(turns: Sequence[Turn]) -> Figures:
    found: dict[str, float] = {"rate": median(turns, lambda turn: turn.rate)}
    found |= {group: median(turns, partial(Turn.cpu, group=group)) for group in turns[0].reading.cpu}
    found |= {name: median(turns, partial(Turn.count, name=name)) for name in turns[0].reading.counts}
    return found | {name: median(turns, partial(_more, name=name)) for name in turns[0].more}


def _more(turn: Turn, *, name: str) -> float:
    return turn.more[name]


def spread(turns: Sequence[Turn]) -> str:
    """Return the least and the highest rate."""
    rates = [turn.rate for turn in turns]
    return f"{number(min(rates))} to {number(max(rates))}"


def number(value: float) -> str:
    """Return a figure as a table shows it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cpu(turns: Sequence[Turn], group: str) -> str:
    """Return what a unit took of this kind of process."""
    return number(median(turns, lambda turn: turn.cpu(group)))


def counted(turns: Sequence[Turn]) -> list[str]:
    """Return what the database counted for a unit: bytes of WAL, commits, pages."""
    return [number(median(turns, partial(Turn.count, name=name))) for name in ("wal", "commits", "pages")]


def waits(turns: Sequence[Turn]) -> str:
    """Return what the database's busy processes were doing most of the time, by share of what was seen."""
    names = {name for turn in turns for name in turn.reading.waits}
    shares = {name: statistics.fmean(turn.reading.waits.get(name, 0.0) for turn in turns) for name in names}
    first = sorted(shares, key=lambda name: -shares[name])[:LIMITS]
    return ", ".join(f"{name} {shares[name] * 100:.0f} %" for name in first)
