"""The tables that the documentation shows of a run, by name."""

from collections.abc import Mapping
from typing import Final

from scaling import claims, deliveries, growth
from scaling.arithmetic import Costs, day
from scaling.section import Figures, number, table

Found = Mapping[str, Mapping[str, Figures]]
RATES: Final = {
    claims.MODES["claim"]: "jobs claimed, in batches of 100",
    claims.MODES["acknowledge"]: "jobs claimed in batches, and acknowledged one by one",
    deliveries.TAKEN_IN: "result sets of one file taken in",
    deliveries.DELIVERED: "deliveries of them to a fast sink",
}
COSTS: Final = {
    "CPU of our processes, ms": "ours",
    "CPU of PostgreSQL, ms": "database",
    "transactions, most of which only read": "commits",
    "WAL, bytes": "wal",
    "pages looked at": "pages",
}


def blocks(found: Found) -> dict[str, str]:
    """Return them."""
    one = f"PostgreSQL, {claims.workers(1)}"
    costs = Costs.of(found[deliveries.TAKEN_IN][one], found[deliveries.DELIVERED][one])
    return {"carries": _carries(found), "costs": _costs(found, one), "growth": _growth(found), "day": day(costs)}


def _carries(found: Found) -> str:
    names = list(found[deliveries.DELIVERED])
    rows = [[told, *(number(found[title][name]["rate"]) for name in names)] for title, told in RATES.items()]
    return table(["a second", *names], rows)


def _costs(found: Found, one: str) -> str:
    rows = [
        [told, *(number(found[title][one][figure]) for title in (deliveries.TAKEN_IN, deliveries.DELIVERED))]
        for told, figure in COSTS.items()
    ]
    return table(["for each", "taken in", "delivered"], rows)


def _growth(found: Found) -> str:
    figures = found[growth.JOBS]
    rows = [
        [place, number(each["rate"]), number(each["pages"]) if "pages" in each else "", number(each["opening"])]
        for place, each in figures.items()
    ]
    return table(["jobs", "claimed and acknowledged a second", "pages for each", "start, s"], rows)
