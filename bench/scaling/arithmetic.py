"""What 10^6 destinations and 10^8 deliveries a day would take: arithmetic over what one run has measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scaling.section import Figures, number, table

DELIVERIES_A_DAY: Final = 1e8
DESTINATIONS: Final = 1e6
PEAK: Final = 3.0
BUSY: Final = 0.6
DAYS: Final = 14.0
CORES: Final = 32
FILE_MB: Final = 1.0
ASSUMED: Final = (
    ("deliveries a day", "100,000,000, each of a result set of its own with one file and one destination"),
    ("peak", f"{PEAK:g} times the average"),
    ("size of a file", f"{FILE_MB:g} MB on the average; its bytes cost the network, not the database"),
    ("how busy a core may be in the peak", f"{BUSY:.0%}"),
    ("a core", "one of the machine that was measured, whose cores served all kinds of processes at once"),
    ("a machine for PostgreSQL", f"{CORES} cores; its disk takes the syncs of the peak; standbys are further machines"),
    ("attempts", "each delivery succeeds at its first one; webhooks and pages of the API are not counted"),
    ("retention", f"{DAYS:g} days, the default"),
    ("cost against size", "flat, as the growth from 10,000 to 1,000,000 shows; beyond that nothing was measured"),
)


@dataclass(frozen=True)
class Costs:
    """What one result set and its delivery took: CPU in ms by kind of process, what the database wrote, what stays."""

    server: float
    worker: float
    database: float
    wal: float
    commits: float
    kept: float

    @classmethod
    def of(cls, taken_in: Figures, delivered: Figures) -> "Costs":
        """Return the costs of one, from the medians of both."""
        return cls(
            server=taken_in["ours"],
            worker=delivered["ours"],
            database=taken_in["database"] + delivered["database"],
            wal=taken_in["wal"] + delivered["wal"],
            commits=taken_in["commits"] + delivered["commits"],
            kept=delivered["kept"],
        )


def cores(milliseconds: float) -> float:
    """Return how many cores such a cost of each takes in the peak."""
    return peak() * milliseconds / 1000 / BUSY


def peak() -> float:
    """Return the deliveries a second in the peak."""
    return DELIVERIES_A_DAY / 86_400 * PEAK


def day(costs: Costs) -> str:
    """Return the assumptions and what follows from them, as Markdown."""
    return "\n".join(
        [
            table(["assumed", ""], ASSUMED),
            table(["taken from this run, for each", ""], _taken(costs)),
            table(["what follows", ""], _follows(costs)),
        ]
    )


def _taken(costs: Costs) -> Sequence[Sequence[str]]:
    return [
        [
            "CPU of `serve`, `worker` and PostgreSQL",
            f"{costs.server:.2g}, {costs.worker:.2g} and {costs.database:.2g} ms",
        ],
        [
            "transactions, most of which only read, and the WAL of all",
            f"{costs.commits:.2g}; {number(costs.wal)} bytes",
        ],
        ["what stays in the database", f"{number(costs.kept)} bytes, indexes included"],
    ]


def _follows(costs: Costs) -> Sequence[Sequence[str]]:
    databases = math.ceil(cores(costs.database) / CORES)
    return [
        ["deliveries a second", f"{number(peak() / PEAK)} on the average, {number(peak())} in the peak"],
        ["cores for `serve`, `worker`, PostgreSQL", ", ".join(f"{cores(each):.0f}" for each in _each(costs))],
        ["databases, each with its share of the accounts", f"{databases}"],
        ["transactions a second in the peak, of each database", number(peak() * costs.commits / databases)],
        ["WAL in the peak, of each; of all in a day", f"{_wal(costs, databases)}"],
        ["result sets kept, and bytes, of each", _kept(costs, databases)],
        [
            "network in the peak: to `serve`, to staging, from staging, to the buckets",
            f"{peak() * FILE_MB / 1000:.2g} GB/s each",
        ],
        ["staged", f"{DELIVERIES_A_DAY * DAYS * FILE_MB / 1e6:,.0f} TB"],
    ]


def _each(costs: Costs) -> Sequence[float]:
    return costs.server, costs.worker, costs.database


def _wal(costs: Costs, databases: int) -> str:
    return f"{peak() * costs.wal / 1e6 / databases:.2g} MB/s; {DELIVERIES_A_DAY * costs.wal / 1e12:.2g} TB"


def _kept(costs: Costs, databases: int) -> str:
    sets = DELIVERIES_A_DAY * DAYS / databases
    return f"{sets / 1e6:,.0f} million, {sets * costs.kept / 1e12:.2g} TB"
