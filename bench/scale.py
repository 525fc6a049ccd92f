"""Measures the service beyond one process, on PostgreSQL, with the file store beside it: see bench/README.md.

make bench-scale      everything, into bench/SCALE.md and docs/scale.md: about ten minutes

python bench/scale.py [--quick] [--rounds N] [--only NAME ...] [--results FILE] [--page FILE]
"""

import argparse
import asyncio
import importlib
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab import Lab
from scaling.bench import Bench
from scaling.blocks import blocks
from scaling.pages import refresh
from scaling.section import Section
from scaling.server import SETTINGS

PARTS: Final = ("claims", "deliveries", "growth")
ROUNDS, QUICK_ROUNDS = 3, 1


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--page", type=Path, help="of the documentation, whose tables are to be those of this run")
    asked = parser.parse_args()
    load, began = os.getloadavg()[0], time.monotonic()
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    with Lab(quick=asked.quick) as lab:
        sections = asyncio.run(_measure(Bench(lab, _tell), asked.only, rounds))
    shown = blocks({section.title: section.figures for section in sections}) if asked.page else {}
    head = _head(rounds, load, time.monotonic() - began)
    page = "\n".join([head, *(section.render() for section in sections), *_shown(asked.page, shown)])
    if asked.results:
        asked.results.write_text(page)
    if asked.page:
        refresh(asked.page, shown)
    print(page)


async def _measure(bench: Bench, names: Sequence[str], rounds: int) -> list[Section]:
    found: list[Section] = []
    for name in names:
        began = time.monotonic()
        found += await importlib.import_module(f"scaling.{name}").sections(bench, rounds)
        _tell(f"{name} took {time.monotonic() - began:.0f} s")
    return found


def _head(rounds: int, load: float, seconds: float) -> str:
    changed = ", ".join(f"`{name} = {value}`" for name, value in SETTINGS.items())
    command = " ".join(["python", "bench/scale.py", *sys.argv[1:]])
    return (
        "# Beyond one process\n\n"
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}: {rounds} rounds, contenders taking turns, medians; Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, load at the start {load:.1f}, in the last minutes "
        f"{os.getloadavg()[2]:.1f}; {seconds / 60:.1f} minutes.\n\n"
        "Workers, PostgreSQL and the storage share these cores, unlike on machines of their own: what more workers add here "
        "is what the cores had left, and the CPU time of each kind of process tells what more machines would. PostgreSQL is "
        f"durable (`fsync` and `synchronous_commit` on); changed are {changed}. Machines are noisy: only ratios within this "
        "one run mean something. What follows from it is in docs/scale.md.\n"
    )


def _shown(page: Path | None, blocks: Mapping[str, str]) -> Iterator[str]:
    if page is not None:
        yield f"## What {page} shows of it\n"
        yield from blocks.values()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
