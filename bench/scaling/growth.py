"""What the same work costs where there are 10^4, 10^5 and 10^6 jobs, or destinations, already."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from scaling.bench import Bench
from scaling.claims import QUICK_SECONDS, turn
from scaling.crew import client
from scaling.section import Section, Turn, counted, cpu, figures, median, number

SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (10_000, 100_000)
JOBS: Final = "Growth: jobs"
WAITING, AT_REST, FILES = "PostgreSQL, waiting", "PostgreSQL, at rest", "file store, waiting"
Found = dict[tuple[str, int], Sequence[Turn]]
TENFOLD: Final = 10
TURNS: Final = 3
SECONDS: Final = 1.5
OPERATIONS: Final = {
    "get": "read one",
    "list": "read all of an account",
    "create": "save a new one, counted against the limit",
    "update": "read one and save it anew",
}
JOBS_HEADER: Final = (
    "",
    "jobs",
    "claimed and acknowledged/s",
    "CPU ms for each: worker",
    "database",
    "pages",
    "start, s",
    "worker's peak MB",
    "MB on disk",
)
JOBS_NOTE: Final = (
    "One worker, claiming in batches of 100 and acknowledging each batch, by how much there is. Waiting: that many jobs are "
    "due, ten of each destination, ten destinations of each account. At rest: 10,000 are due, all others are done and kept. "
    "Pages: how many the database looked at for one job, a figure that no other work on the machine changes. Start: until "
    "the first claim can be made."
)
DOCUMENTS_NOTE: Final = (
    "Operations a second by one process, 16 at once, by how many destinations there are, ten of each account. On files "
    "everything that is read is in memory."
)
UNFINISHED: Final = ("jobs", "lanes")
"""What there is of unfinished jobs alone, beside their documents."""
COLUMNS: Final = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = $1 AND is_identity = 'NO' ORDER BY ordinal_position
"""


async def sections(bench: Bench, rounds: int) -> Sequence[Section]:
    """Measure it; so long that there are no rounds, but for turns of each in a row."""
    turns = {**await _jobs_in_database(bench), **await _jobs_in_files(bench)}
    rows = [_cells(*place, taken) for place, taken in turns.items()]
    found = figures({f"{name}: {size:,}": taken for (name, size), taken in turns.items()})
    return [Section(JOBS, JOBS_HEADER, rows, JOBS_NOTE, found), await _documents(bench)]


async def _jobs_in_database(bench: Bench) -> Found:
    name, found = "growing", Found()
    sizes: Sequence[int] = bench.lab.pick(SIZES, QUICK_SIZES)
    url = await bench.migrated(name)
    bench.lab.run(client("scale_queue", "fill", url, sizes[0]), core=None)
    for size in sizes:
        if size > sizes[0]:
            await _multiplied(bench, name, size)
        found[WAITING, size] = await _turns(bench, name)
    await _all_at_rest_but(bench, name, sizes[0])
    found[AT_REST, sizes[-1]] = await _turns(bench, name)
    await bench.server.drop(name)
    return found


async def _multiplied(bench: Bench, database: str, size: int) -> None:
    """Let there be ten times as many jobs, accounts and destinations; each as those that the queue itself has made."""
    connection = await bench.server.connect(database)
    try:
        for table in ("documents", *UNFINISHED):
            columns = [row["column_name"] for row in await connection.fetch(COLUMNS, table)]
            chosen = ", ".join(f"account || '-{size}-' || n" if column == "account" else column for column in columns)
            more = f"SELECT {chosen} FROM {table}, generate_series(1, {TENFOLD - 1}) AS n"
            await connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) {more}", timeout=300)
        await connection.execute("VACUUM ANALYZE", timeout=300)
    finally:
        await connection.close()


async def _all_at_rest_but(bench: Bench, database: str, few: int) -> None:
    """Leave only the first jobs unfinished."""
    connection = await bench.server.connect(database)
    try:
        for table in UNFINISHED:
            await connection.execute(f"DELETE FROM {table} WHERE account LIKE '%-%-%'", timeout=300)
        await connection.execute("VACUUM ANALYZE", timeout=300)
    finally:
        await connection.close()


async def _turns(bench: Bench, database: str) -> Sequence[Turn]:
    async with bench.copy(database) as copy:
        connection = await bench.server.connect(copy)
        kept = await connection.fetchval("SELECT pg_database_size(current_database())")
        await connection.close()
        url = bench.server.url(copy)
        turns = [await _turn(bench, url, copy, kept) for _ in range(TURNS)]
    bench.tell(f"jobs in a database of {kept / 1e6:.0f} MB: {median(turns, lambda turn: turn.rate):.4g}/s")
    return turns


async def _turn(bench: Bench, where: str, database: str | None, kept: float) -> Turn:
    seconds = bench.lab.pick(SECONDS, QUICK_SECONDS)
    found = await turn(bench, where, "acknowledge", count=1, database=database, seconds=seconds)
    return replace(found, more={**found.more, "kept": kept})


def _cells(name: str, size: int, turns: Sequence[Turn]) -> Sequence[str]:
    watched = name != FILES
    return [
        name,
        f"{size:,}",
        number(median(turns, lambda turn: turn.rate)),
        cpu(turns, "workers"),
        *([cpu(turns, "database"), counted(turns)[-1]] if watched else ["", ""]),
        number(median(turns, lambda turn: turn.more["opening"])),
        number(max(turn.more["memory"] for turn in turns)),
        number(turns[0].more["kept"] / 1e6),
    ]


async def _jobs_in_files(bench: Bench) -> Found:
    found = Found()
    for size in bench.lab.pick(SIZES, QUICK_SIZES):
        store = bench.directory() / "store"
        bench.lab.run(client("scale_files", "jobs", store, size), core=None)
        kept = sum(file.stat().st_size for file in store.iterdir())
        found[FILES, size] = [await _turn(bench, str(store), None, kept)]
        bench.tell(f"jobs in files of {kept / 1e6:.0f} MB: {found[FILES, size][0].rate:.4g}/s")
    return found


async def _documents(bench: Bench) -> Section:
    sizes: Sequence[int] = bench.lab.pick(SIZES, QUICK_SIZES)
    files = [_on_files(bench, size) for size in sizes]
    database = [found async for found in _on_postgres(bench, sizes)]
    header = ["", *(f"file store, {size:,}" for size in sizes), *(f"PostgreSQL, {size:,}" for size in sizes)]
    names = {**OPERATIONS, "opening": "opening, s"}
    rows = [[told, *(number(found[name]) for found in (*files, *database))] for name, told in names.items()]
    found = {
        f"{name}, {size}": each
        for name, several in (("file store", files), ("PostgreSQL", database))
        for size, each in zip(sizes, several, strict=True)
    }
    return Section("Growth: destinations", header, rows, DOCUMENTS_NOTE, found)


def _on_files(bench: Bench, size: int) -> Mapping[str, float]:
    store = bench.directory() / "store"
    bench.lab.run(client("scale_files", "documents", store, size), core=None)
    return _measured(bench, str(store), size)


async def _on_postgres(bench: Bench, sizes: Sequence[int]) -> Any:
    name = "documents"
    url = await bench.migrated(name)
    there = 0
    for size in sizes:
        bench.lab.run(client("scale_documents", "fill", url, there, size), core=None)
        there = size
        async with bench.copy(name) as copy:
            yield _measured(bench, bench.server.url(copy), size)


def _measured(bench: Bench, where: str, size: int) -> Mapping[str, float]:
    seconds = bench.lab.pick(SECONDS, QUICK_SECONDS)
    said = bench.lab.run(client("scale_documents", "measure", where, size, seconds), core=None)
    found: Mapping[str, float] = json.loads(said.splitlines()[-1])
    bench.tell(f"destinations, {size:,}: {', '.join(f'{name} {value:.4g}' for name, value in found.items())}")
    return found
