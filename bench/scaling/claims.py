"""Claims from the queue: by one process on the file store, and by one, two and four on PostgreSQL."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from lab import TurnFailed
from scaling.bench import Bench
from scaling.crew import client, crew
from scaling.gauges import peak_of
from scaling.section import Section, Take, Turn, counted, cpu, figures, median, number, spread, take_turns, waits

CLIENT: Final = "scale_queue"
JOBS, QUICK_JOBS = 40_000, 10_000
SECONDS, QUICK_SECONDS = 3.0, 1.0
WORKERS: Final = (1, 2, 4)
FILE: Final = "file store, 1 process"
MODES: Final = {
    "claim": "Claims in batches of 100, and nothing else",
    "acknowledge": "Claims in batches of 100, each batch then acknowledged one by one",
}
HEADER: Final = (
    "",
    "jobs/s",
    "spread",
    "CPU ms per job: workers",
    "database",
    "WAL bytes",
    "commits",
    "pages",
    "ms per claim",
    "the database's processes, while busy",
)
NOTE: Final = (
    "Jobs that are due, of 100 accounts with 10 destinations each. Every claim is durable when it returns. In the second "
    "table, no destination has more than 4 under lease in all processes together, and the jobs of a batch are acknowledged "
    "at once, each with its outcome, before the next batch is claimed."
)


async def filled(bench: Bench) -> tuple[Path, str]:
    """Return a directory and a database with as many jobs."""
    directory, database, jobs = bench.directory(), "jobs", bench.lab.pick(JOBS, QUICK_JOBS)
    url = await bench.migrated(database)
    for where in (directory / "store", url):
        bench.lab.run(client(CLIENT, "fill", where, jobs), core=None)
    return directory, database


async def sections(bench: Bench, rounds: int) -> Sequence[Section]:
    """Measure it."""
    directory, database = await filled(bench)
    found = []
    for mode, title in MODES.items():
        contenders: dict[str, Take] = {FILE: partial(_on_files, bench, directory, mode)}
        for count in WORKERS:
            contenders[f"PostgreSQL, {workers(count)}"] = partial(_on_postgres, bench, database, mode, count)
        turns = await take_turns(contenders, rounds, bench.tell)
        found.append(Section(title, HEADER, [_row(name, turns[name]) for name in contenders], NOTE, figures(turns)))
    return found


def workers(count: int) -> str:
    """Return so many workers in words."""
    return f"{count} worker{'s' * (count > 1)}"


async def _on_files(bench: Bench, directory: Path, mode: str) -> Turn:
    async with bench.copied(directory) as copy:
        return await _turn(bench, str(copy / "store"), mode, count=1)


async def _on_postgres(bench: Bench, database: str, mode: str, count: int) -> Turn:
    async with bench.copy(database) as copy:
        return await _turn(bench, bench.server.url(copy), mode, count=count, database=copy)


async def _turn(bench: Bench, where: str, mode: str, *, count: int, database: str | None = None) -> Turn:
    seconds = bench.lab.pick(SECONDS, QUICK_SECONDS)
    return await turn(bench, where, mode, count=count, database=database, seconds=seconds)


async def turn(bench: Bench, where: str, mode: str, *, count: int, database: str | None, seconds: float) -> Turn:
    """Let so many workers work together for so long on what there is."""
    async with crew(count, client(CLIENT, "work", where, seconds, mode)) as working:
        await working.ready()
        async with bench.gauges({"workers": working.pids}, database) as gauges:
            await working.tell("go")
            found = await working.found()
            memory = max(map(peak_of, working.pids))
            reading = await gauges.end()
    if not all(one["claimed"] for one in found):
        raise TurnFailed(f"a worker got nothing to do: {found}")
    claimed, calls, claiming = (sum(one[name] for one in found) for name in ("claimed", "calls", "claiming"))
    return Turn(claimed, reading, {"claiming": claiming / calls, "opening": found[0]["opening"], "memory": memory})


def _row(name: str, turns: Sequence[Turn]) -> Sequence[str]:
    return [
        name,
        number(median(turns, lambda turn: turn.rate)),
        spread(turns),
        cpu(turns, "workers"),
        *([cpu(turns, "database"), *counted(turns)] if name != FILE else [""] * 4),
        number(median(turns, lambda turn: turn.more["claiming"] * 1000)),
        waits(turns),
    ]
