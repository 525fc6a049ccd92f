"""The arithmetic of the benchmark beyond one process, and the pages that its last whole run has written."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from scaling.arithmetic import BUSY, DELIVERIES_A_DAY, PEAK, Costs, cores, day, peak
from scaling.gauges import Reading
from scaling.pages import BLOCK, refreshed
from scaling.profile import shares
from scaling.section import Take, Turn, figures, median, spread, take_turns, waits
from scaling.statements import told

ROOT = Path(__file__).parents[1]


def turn(units: float, seconds: float, cpu: Mapping[str, float], waits: Mapping[str, float] | None = None) -> Turn:
    return Turn(units, Reading(seconds, cpu, {"wal": 1000.0}, waits or {}), {"kept": 5.0})


async def test_contenders_take_turns_and_each_round_begins_with_another() -> None:
    order: list[str] = []

    def contender(name: str) -> Take:
        async def take() -> Turn:
            order.append(name)
            return turn(1, 1, {})

        return take

    turns = await take_turns({"a": contender("a"), "b": contender("b")}, 3, lambda _: None)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert len(turns["a"]) == len(turns["b"]) == 3


def test_figures_are_for_one_unit_and_medians_of_the_rounds() -> None:
    turns = [turn(100, 2, {"ours": 0.1}), turn(100, 1, {"ours": 0.2}), turn(100, 4, {"ours": 9.0})]

    found = figures({"x": turns})["x"]

    assert found == {"rate": 50, "ours": pytest.approx(2.0), "wal": 10, "kept": 5}
    assert median(turns, lambda one: one.rate) == 50
    assert spread(turns) == "25 to 100"


def test_what_the_database_waits_for_is_told_by_its_share_the_most_first() -> None:
    turns = [turn(1, 1, {}, {"CPU": 0.5, "IO: WALSync": 0.5}), turn(1, 1, {}, {"CPU": 0.1, "IO: WALSync": 0.9})]

    assert waits(turns) == "IO: WALSync 70 %, CPU 30 %"


def test_the_cores_of_a_day_follow_from_the_cost_of_one() -> None:
    """At the peak, each core as busy as is assumed: a millisecond of each is the peak's thousandth part over that."""
    assert peak() == pytest.approx(DELIVERIES_A_DAY / 86_400 * PEAK)
    assert cores(1.0) == pytest.approx(peak() / 1000 / BUSY)
    costs = Costs.of(
        {"ours": 1.0, "database": 0.5, "wal": 1000, "commits": 1},
        {"ours": 2.0, "database": 0.5, "wal": 3000, "commits": 2, "kept": 4000},
    )
    assert costs == Costs(server=1.0, worker=2.0, database=1.0, wal=4000, commits=3, kept=4000)
    assert f"| {cores(1.0):.0f}, {cores(2.0):.0f}, {cores(1.0):.0f} |" in day(costs)


def test_a_profile_goes_by_the_innermost_frame_and_our_own_code_by_its_room() -> None:
    stacks = [
        "main (consignee/cli.py:3);run (asyncio/runners.py:118);save (app/consignee/store/postgres.py:12) 6",
        "main (consignee/cli.py:3);fetch (asyncpg/connection.py:716) 3",
        "main (consignee/cli.py:3) 1",
    ]

    assert shares("\n".join(stacks)) == {"consignee: store": 0.6, "asyncpg": 0.3, "consignee: cli": 0.1}


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT account, id FROM claim_jobs($1, $2)", "claim_jobs()"),
        ("SELECT end_attempt($1) AS done", "end_attempt()"),
        ("UPDATE documents SET data = $1 WHERE id IN (SELECT id FROM jobs)", "UPDATE documents"),
        ("INSERT INTO documents (kind) VALUES ($1)", "INSERT documents"),
        ("WITH spent AS (DELETE FROM limits) INSERT INTO documents (kind) VALUES ($1)", "INSERT documents"),
        ("SELECT set_config($3, $4, $5), pg_notify($1, $2)", "NOTIFY"),
        ("SELECT $1", "SELECT"),
    ],
)
def test_a_statement_is_told_by_what_it_does(query: str, what: str) -> None:
    assert told(query) == what


def test_a_page_gets_its_blocks_and_keeps_the_rest() -> None:
    page = "before\n<!-- measured: a -->\nold\n<!-- end -->\nafter\n"

    assert refreshed(page, {"a": "| new |\n"}) == "before\n<!-- measured: a -->\n\n| new |\n\n<!-- end -->\nafter\n"
    with pytest.raises(KeyError):
        refreshed(page, {"b": ""})


def test_the_kept_page_comes_from_one_whole_run_and_the_documentation_shows_that_run() -> None:
    """Not from a quick one, nor from some of the parts; each table of the page stands in the results, too."""
    results = (ROOT / "bench" / "SCALE.md").read_text()
    page = (ROOT / "docs" / "scale.md").read_text()

    (command,) = re.findall(r"^`(python bench/scale\.py [^`]*)`", results, re.MULTILINE)
    assert "--quick" not in command and "--only" not in command
    shown = [found[0].split("\n\n")[1:-1] for found in BLOCK.finditer(page)]
    assert len(shown) == 4
    assert [table for tables in shown for table in tables if table not in results] == []
