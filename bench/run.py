"""Measures consignee beside what a user would pick instead, in one run, and writes ratios: see bench/README.md.

make bench            everything, into bench/RESULTS.md
make bench-quick      the same with small rounds, printed only

python bench/run.py [--quick] [--rounds N] [--only NAME ...] [--results FILE]
"""

import argparse
import importlib
import os
import pkgutil
import sys
import time
from pathlib import Path

import cases
from contest import Contest, Table, hold
from lab import Lab
from results import Outcome, render

ROUNDS, QUICK_ROUNDS = 5, 1


def main() -> None:
    """Run the cases that are asked for."""
    names = sorted(found.name for found in pkgutil.iter_modules(cases.__path__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    load = os.getloadavg()[0]
    command = " ".join(["python", "bench/run.py", *sys.argv[1:]])
    outcomes: list[Outcome] = []
    page = ""
    with Lab(quick=asked.quick) as lab:
        for name in asked.only:
            began = time.monotonic()
            for each in importlib.import_module(f"cases.{name}").contests(lab):
                outcomes.append(_measure(each, rounds))
            _tell(f"{name} took {time.monotonic() - began:.0f} s")
            page = render(outcomes, command=command, rounds=rounds, load=load)
            if asked.results:
                asked.results.write_text(page)
    print(page)


def _measure(each: Contest | Table, rounds: int) -> Outcome:
    if isinstance(each, Contest):
        return hold(each, rounds=rounds, tell=_tell)
    _tell(each.title)
    return each, each.rows()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
