"""What operations cost, the more there is of something: each has to stay flat, or linear where it looks at all of it."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from contest import Table
from lab import CLIENTS, Lab

SIZES: Final = (10, 100, 1_000, 10_000)
QUICK_SIZES: Final = (10, 100, 1_000)
OF: Final = {
    "destinations": "destinations of one account",
    "accounts": "accounts, with a destination and an API key each",
    "collections": "collections of one account",
    "deliveries": "result sets of one file that wait for a storage which does not answer",
    "files": "files in one result set",
}
FLAT: Final = 2.0
LINEAR: Final = 14.0
"""Per tenfold: n log n from 1,000 to 10,000 is 13.3."""
NOTE: Final = (
    "CPU milliseconds of one operation of the library, all threads, by number. Per tenfold: of the last two sizes. "
    f"Flat: below {FLAT:g}; linear: at most {LINEAR:g}."
)


def contests(lab: Lab) -> Iterator[Table]:
    """Yield a table for each thing there can be much of."""
    for what, told in OF.items():
        sizes = lab.pick(SIZES, QUICK_SIZES)
        header = ["operation", *(f"{size:,}" for size in sizes), "per tenfold", "so it is"]
        yield Table(f"growth: {told}", header, partial(_rows, lab, what, sizes), note=NOTE)


def _rows(lab: Lab, what: str, sizes: Sequence[int]) -> Sequence[Sequence[str]]:
    costs = [_costs(lab, what, size) for size in sizes]
    return [_row(name, [each[name] * 1000 for each in costs]) for name in costs[0]]


def _costs(lab: Lab, what: str, size: int) -> Mapping[str, float]:
    home = lab.memory / f"growth-{what}-{size}"
    home.mkdir(mode=0o700)
    try:
        said = lab.run([sys.executable, str(CLIENTS / "growth.py"), what, str(size), str(home)])
    finally:
        shutil.rmtree(home)
    found: Mapping[str, float] = json.loads(said.splitlines()[-1])
    return found


def _row(name: str, costs: Sequence[float]) -> Sequence[str]:
    tenfold = costs[-1] / costs[-2]
    verdict = "flat" if tenfold < FLAT else "linear" if tenfold <= LINEAR else "**worse**"
    return [name, *(f"{cost:.3g}" for cost in costs), f"{tenfold:.2g} x", verdict]
