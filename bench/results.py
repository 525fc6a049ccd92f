"""Renders what was measured as Markdown: the aims and their ratios first, then every contender's figures."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from contest import Aim, Contest, Result, Table

FIGURES = {"rate": "{unit}/s", "cpu": "CPU ms per {unit}", "memory": "peak MB"}
Outcome = Result | tuple[Table, Sequence[Sequence[str]]]


def render(outcomes: Sequence[Outcome], *, command: str, rounds: int, load: float) -> str:
    """Return the whole page."""
    lines = [
        "# Results",
        "",
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}: {rounds} rounds, contenders taking turns, medians; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load at the start {load:.1f}.",
        "Machines are noisy: only ratios within this one run mean something, never a rate alone. "
        "How it is measured: bench/README.md; what was tried: bench/NOTES.md.",
        "",
        "## Aims",
        "",
        *_aims([outcome for outcome in outcomes if isinstance(outcome, Result)]),
    ]
    for outcome in outcomes:
        lines += ["", *(_contest(outcome) if isinstance(outcome, Result) else _table(*outcome))]
    return "\n".join(lines) + "\n"


def _aims(results: Sequence[Result]) -> Iterator[str]:
    yield from _rows(["what", "figure", "beside", "aim", "measured", "met"], _aim_rows(results))


def _aim_rows(results: Sequence[Result]) -> Iterator[list[str]]:
    for result in results:
        for aim in result.contest.aims:
            wanted = f"≥ {aim.least:g}" if aim.least is not None else f"≤ {aim.most:g}"
            factor = 1000 if aim.figure == "cpu" and not aim.beside else 1
            if factor != 1:
                wanted = f"≤ {(aim.most or 0) * factor:g}"
            yield [
                result.contest.title,
                _name(aim.figure, result.contest),
                " / ".join(aim.beside) or "",
                f"{wanted}{' x' if aim.beside else ''}",
                f"**{aim.measured(result) * factor:.3g}{' x' if aim.beside else ''}**{_spread(aim, result)}",
                "yes" if aim.met(result) else "**no**",
            ]


def _spread(aim: Aim, result: Result) -> str:
    own = result.figures(aim.of, aim.figure)
    middle = result.median(aim.of, aim.figure)
    return f" ({(min(own) / middle - 1) * 100:+.0f} to {(max(own) / middle - 1) * 100:+.0f} %)" if middle else ""


def _contest(result: Result) -> Iterator[str]:
    contest = result.contest
    names = list(contest.contenders)
    figures = [figure for figure in FIGURES if any(result.figures(name, figure) for name in names)]
    extra = sorted({key for name in names for sample in result.samples[name] for key in sample.more})
    yield from (f"## {contest.title}", "")
    if contest.note:
        yield from (contest.note, "")
    header = ["", *[_name(figure, contest) for figure in figures], "spread of the rate", *extra]
    yield from _rows(header, (_contender(result, name, [*figures], extra) for name in names))


def _contender(result: Result, name: str, figures: Sequence[str], extra: Sequence[str]) -> list[str]:
    rates = result.figures(name, "rate")
    spread = f"{min(rates):.4g} to {max(rates):.4g}" if rates else ""
    return [
        name,
        *[_cell(result, name, each) for each in figures],
        spread,
        *[_cell(result, name, each) for each in extra],
    ]


def _cell(result: Result, name: str, figure: str) -> str:
    if not result.figures(name, figure):
        return ""
    return f"{result.median(name, figure) * (1000 if figure == 'cpu' else 1):.4g}"


def _name(figure: str, contest: Contest) -> str:
    return FIGURES.get(figure, figure).format(unit=contest.unit)


def _table(table: Table, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (f"## {table.title}", "")
    if table.note:
        yield from (table.note, "")
    yield from _rows(table.header, rows)


def _rows(header: Sequence[str], rows: Iterator[list[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
