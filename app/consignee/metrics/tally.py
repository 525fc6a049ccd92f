"""What is counted and measured, in plain numbers: to add to one of them costs next to nothing."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Labels = tuple[str, ...]


class Counts:
    """Numbers that only grow, by the values of `labels`."""

    kind: Final = "counter"

    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.numbers: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *values: str, amount: float = 1) -> None:
        """Add to the number of these values."""
        self.numbers[values] = self.numbers.get(values, 0) + amount


class Levels:
    """Numbers as they are at one moment, by the values of `labels`."""

    kind: Final = "gauge"

    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.numbers: dict[Labels, float] = {}

    def set(self, *values: str, to: float) -> None:
        """Let the number of these values be that."""
        self.numbers[values] = to

    def put(self, numbers: Mapping[str, float]) -> None:
        """Let these be all numbers there are, by the value of the only label."""
        self.numbers = {(value,): number for value, number in numbers.items()}


class Cell:
    """How many of what was measured were up to each bound, not counting those up to the one before; and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.sum = 0.0


class Spread:
    """Measurements, counted by bounds: seconds, by the values of `labels`."""

    kind: Final = "histogram"

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.bounds = tuple(bounds)
        self.labels = labels
        self.cells: dict[Labels, Cell] = {}

    def note(self, *values: str, seconds: float) -> None:
        """Count a measurement."""
        cell = self.cells.get(values)
        if cell is None:
            cell = self.cells[values] = Cell(len(self.bounds))
        cell.counts[bisect_left(self.bounds, seconds)] += 1
        cell.sum += seconds


Tally = Counts | Levels | Spread


def tallies(of: Any) -> Iterator[Tally]:
    """Yield the tallies that are attributes of an object, in the order in which they were made."""
    return (one for one in vars(of).values() if isinstance(one, Counts | Levels | Spread))
