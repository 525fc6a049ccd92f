"""What is measured, and what of it is asked: contenders that take turns, and aims for the medians of their rounds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

OURS: Final = "consignee"


@dataclass(frozen=True)
class Sample:
    """What one turn measured: units a second, CPU seconds a unit, peak memory in MB, and further figures by name."""

    rate: float
    cpu: float | None = None
    memory: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    def figure(self, name: str) -> float | None:
        """Return the figure of that name, or None if this contender has none."""
        if name in ("rate", "cpu", "memory"):
            found: float | None = getattr(self, name)
            return found
        return self.more.get(name)


Turn = Callable[[], Sample]


@dataclass(frozen=True)
class Aim:
    """A figure of ours: at least (or at most) that many times the same figure of `beside`; without one, that itself.

    Of several contenders in `beside`, the best one counts: the highest for `least`, the lowest for `most`.
    """

    figure: str
    least: float | None = None
    most: float | None = None
    beside: tuple[str, ...] = ()
    of: str = OURS

    def measured(self, result: "Result") -> float:
        """Return the ratio, or the figure itself."""
        own = result.median(self.of, self.figure)
        if not self.beside:
            return own
        others = [result.median(name, self.figure) for name in self.beside]
        return own / (max(others) if self.least is not None else min(others))

    def met(self, result: "Result") -> bool:
        """Whether the medians reach it."""
        found = self.measured(result)
        return found >= self.least if self.least is not None else found <= (self.most or 0.0)


@dataclass(frozen=True)
class Contest:
    """Contenders that do the same, each in its turn; `unit` is what `rate` counts a second of."""

    title: str
    unit: str
    contenders: Mapping[str, Turn]
    aims: Sequence[Aim] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Figures that no one competes for, such as cost against size; made once, by `rows`."""

    title: str
    header: Sequence[str]
    rows: Callable[[], Sequence[Sequence[str]]]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """A contest that took place: the samples of each contender, in the order of the rounds."""

    contest: Contest
    samples: Mapping[str, Sequence[Sample]]

    def figures(self, name: str, figure: str) -> list[float]:
        """Return what every round found; empty where a contender has no such figure."""
        found = [sample.figure(figure) for sample in self.samples[name]]
        return [value for value in found if value is not None]

    def median(self, name: str, figure: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.figures(name, figure))


def hold(contest: Contest, *, rounds: int, tell: Callable[[str], None] = lambda _: None) -> Result:
    """Let the contenders take turns, `rounds` times, each round beginning with another one; return what was measured."""
    samples: dict[str, list[Sample]] = {name: [] for name in contest.contenders}
    names = list(contest.contenders)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(contest.contenders[name]())
            tell(f"{contest.title}: round {number + 1}, {name}: {samples[name][-1].rate:.4g} {contest.unit}/s")
    return Result(contest, samples)
