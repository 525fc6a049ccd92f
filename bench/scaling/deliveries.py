"""Result sets taken in, and delivered to a fast sink: by one process on the file store, by one, two and four on PostgreSQL."""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab import TURN_SECONDS, Lab
from scaling import statements
from scaling.bench import Bench, consignee
from scaling.claims import FILE, WORKERS, workers
from scaling.crew import client, crew
from scaling.profile import profiled
from scaling.section import Section, Take, Turn, counted, cpu, figures, median, number, spread, take_turns, waits
from sink import Sink, serving

if TYPE_CHECKING:
    import asyncpg

CLIENT: Final = "scale_intake"
TAKEN_IN, DELIVERED = "Result sets taken in", "Deliveries to a fast sink"
SETS, QUICK_SETS = 3_000, 800
SECONDS, QUICK_SECONDS = 4.0, 1.5
ASKED: Final = 12
ASKED_TITLE: Final = "What one result set asks of the database"
FIRST, LAST = 0.25, 0.95
"""Between these shares of all deliveries the rate is taken: all workers have open connections, and none waits for the last."""
LOOKS: Final = 0.05
LOCATIONS: Final = """
        root {home}/files;
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
            add_header ETag '"00000000000000000000000000000000"' always;
        }}
"""
CONFIG: Final = """
[server]
port = 0
[store]
path = "{home}/store"
[secrets]
key_file = "{key}"
[egress]
allow = ["127.0.0.1/32:*"]
allow_http = true
[log]
level = "error"
"""
STAGING: Final = """
[staging]
type = "s3compatible"
s3_endpoint = "{url}"
s3_bucket_name = "staged"
s3_region = "us-east-1"
"""
KEYS: Final = {
    "CONSIGNEE_STAGING__S3_ACCESS_KEY_ID": "bench",
    "CONSIGNEE_STAGING__S3_SECRET_ACCESS_KEY": "bench-bench-bench",
}
HEADER: Final = (
    "",
    "{what}/s",
    "spread",
    "CPU ms for each: ours",
    "database",
    "storage",
    "WAL bytes",
    "commits",
    "pages",
    "the database's processes, while busy",
)
NOTE: Final = (
    "Result sets of one file of 1 KB, of 20 accounts with 5 collections and destinations each, whose storage is nginx on tmpfs. "
    "On PostgreSQL the files are in a staging bucket, which is the same nginx: taking one in writes an object there, "
    "delivering it reads that. On the file store they are on the disk, in the same process. Commits: also what only reads."
)


LEAST: Final = 0.02
PROFILE_NOTE: Final = (
    "One worker on PostgreSQL, seen by py-spy while it delivers; what takes less than 2 % is left out."
)


@dataclass(frozen=True)
class Place:
    """Where a contender's service is: its configuration, its variables, its database if it has one."""

    config: Path
    variables: Mapping[str, str]
    database: str | None = None


Taking = Callable[[Bench, Place, int], Awaitable[Turn]]


def storage(lab: Lab) -> Iterator[Sink]:
    """Yield nginx, for staging and for destinations, on any core; for `Lab.shared`."""
    for made in serving(lab, "storage", LOCATIONS):
        while not (made.home / "nginx.pid").is_file() or len(_nginx(made)) < 2:
            time.sleep(LOOKS)  # it listens before its worker is there
        for pid in _nginx(made):
            os.sched_setaffinity(pid, range(os.cpu_count() or 1))
        yield made


def _nginx(made: Sink) -> list[int]:
    master = int((made.home / "nginx.pid").read_text())
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [master, *map(int, children)]


async def sections(bench: Bench, rounds: int) -> Sequence[Section]:
    """Measure it."""
    file, base = await _filled(bench)
    found = []
    for what, title, take in (
        ("sets", TAKEN_IN, _take_in),
        ("deliveries", DELIVERED, _deliver),
    ):
        contenders: dict[str, Take] = {FILE: partial(_on_files, bench, file, take)}
        for count in WORKERS:
            contenders[f"PostgreSQL, {workers(count)}"] = partial(_on_postgres, bench, base, take, count)
        turns = await take_turns(contenders, rounds, bench.tell)
        header = [name.format(what=what) for name in HEADER]
        found.append(Section(title, header, [_row(name, turns[name]) for name in contenders], NOTE, figures(turns)))
    return [*found, await _asked(bench, base), await _profile(bench, base)]


async def _filled(bench: Bench) -> tuple[Place, Place]:
    """Return a service on files and one on PostgreSQL, each with as many result sets to deliver."""
    sink, home = bench.lab.shared(storage), bench.directory()
    url = await bench.migrated("deliveries")
    places = (
        _place(home / "file.toml", CONFIG.format(home=home, key=home / "secret.key"), {}),
        _place(
            home / "shared.toml",
            CONFIG.format(home=home / "shared", key=home / "shared.key") + STAGING.format(url=sink.http),
            {"CONSIGNEE_STORE__URL": url, **KEYS},
            "deliveries",
        ),
    )
    for place in places:
        command = client(CLIENT, "fill", place.config, sink.http, bench.lab.pick(SETS, QUICK_SETS))
        bench.lab.run(command, environment=place.variables, core=None)
    return places


def _place(config: Path, text: str, variables: Mapping[str, str], database: str | None = None) -> Place:
    config.write_text(text)
    config.chmod(0o600)
    return Place(config, variables, database)


async def _on_files(bench: Bench, base: Place, take: Taking) -> Turn:
    async with bench.copied(base.config.parent) as copy:
        text = base.config.read_text().replace(str(base.config.parent), str(copy))
        return await take(bench, _place(copy / base.config.name, text, {}), 1)


async def _on_postgres(bench: Bench, base: Place, take: Taking, count: int) -> Turn:
    assert base.database is not None
    async with bench.copy(base.database) as copy:
        variables = {**base.variables, "CONSIGNEE_STORE__URL": bench.server.url(copy)}
        return await take(bench, Place(base.config, variables, copy), count)


async def _asked(bench: Bench, base: Place) -> Section:
    """Return what one of each asks of the database, in one more turn."""
    found = []
    connection = await bench.server.connect()
    for take in (_take_in, _deliver):
        await statements.begin(connection)
        turn = await _on_postgres(bench, base, partial(_watched, take, connection), 1)
        found.append({name: value for name, value in turn.more.items() if name != "kept"})
    await connection.close()
    names = sorted({*found[0], *found[1]}, key=lambda name: -max(each.get(name, 0.0) for each in found))
    rows = [[name, *(number(each[name]) if name in each else "" for each in found)] for name in names[:ASKED]]
    rows.append(["all", *(number(sum(each.values())) for each in found)])
    return Section(ASKED_TITLE, ["statements for each", TAKEN_IN, DELIVERED], rows)


async def _profile(bench: Bench, base: Place) -> Section:
    """Return where the time of one worker goes, in one more turn, in the middle of its deliveries."""
    assert base.database is not None
    sets = bench.lab.pick(SETS, QUICK_SETS)
    delivered = _emptied(bench.lab.shared(storage).home / "files" / "delivered")
    async with bench.copy(base.database) as copy:
        variables = {**base.variables, "CONSIGNEE_STORE__URL": bench.server.url(copy)}
        async with crew(1, consignee("worker", "--config", base.config), variables) as working:
            await working.ready()
            await _until(delivered, FIRST * sets)
            found = await profiled(working.pids[0], bench.lab.pick(SECONDS, QUICK_SECONDS))
    rows = [[name, f"{share * 100:.0f} %"] for name, share in found.items() if share >= LEAST]
    return Section("Where a worker's time goes", ["innermost code of", "share"], rows, PROFILE_NOTE)


async def _watched(take: Taking, connection: "asyncpg.Connection[Any]", bench: Bench, place: Place, count: int) -> Turn:
    turn = await take(bench, place, count)
    asked = await statements.counted(connection, str(place.database))
    units = asked[ONCE[take]]
    return replace(turn, more={name: calls / units for name, calls in asked.items()})


async def _take_in(bench: Bench, place: Place, count: int) -> Turn:
    seconds, sink = bench.lab.pick(SECONDS, QUICK_SECONDS), bench.lab.shared(storage)
    async with crew(count, client(CLIENT, "work", place.config, seconds), place.variables) as working:
        await working.ready()
        async with bench.gauges({"ours": working.pids, "storage": _nginx(sink)}, place.database) as gauges:
            await working.tell("go")
            found = await working.found()
            reading = await gauges.end()
    return Turn(sum(one["done"] for one in found), reading, {})


async def _deliver(bench: Bench, place: Place, count: int) -> Turn:
    sink, sets = bench.lab.shared(storage), bench.lab.pick(SETS, QUICK_SETS)
    delivered = _emptied(sink.home / "files" / "delivered")
    command = consignee("serve" if place.database is None else "worker", "--config", place.config)
    async with asyncio.timeout(TURN_SECONDS), crew(count, command, place.variables) as working:
        await working.ready()
        await _until(delivered, FIRST * sets)
        async with bench.gauges({"ours": working.pids, "storage": _nginx(sink)}, place.database) as gauges:
            began = _count(delivered)
            await _until(delivered, LAST * sets)
            done = _count(delivered) - began
            reading = await gauges.end()
        await _until(delivered, sets)
        kept = 0.0 if place.database is None else await _at_rest(bench, place.database)
    return Turn(done, reading, {"kept": kept / sets})


ONCE: Final[Mapping[Taking, str]] = {_take_in: "add_job()", _deliver: "end_attempt()"}
"""What is asked once for each, also for those before and after what is measured."""


async def _at_rest(bench: Bench, database: str) -> float:
    """Return how many bytes the documents take when the last outcomes are saved, too."""
    connection = await bench.server.connect(database)
    try:
        while await connection.fetchval("SELECT count(*) FROM jobs"):
            await asyncio.sleep(LOOKS)
        await connection.execute("VACUUM FULL documents")
        return float(await connection.fetchval("SELECT pg_total_relation_size('documents')"))
    finally:
        await connection.close()


def _emptied(directory: Path) -> Path:
    """Return the directory, with nothing in it: what was delivered before is not counted."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    return directory


async def _until(directory: Path, count: float) -> None:
    while _count(directory) < count:
        await asyncio.sleep(LOOKS)


def _count(directory: Path) -> int:
    """Return how many result sets have arrived, each in a directory of its collection's."""
    return sum(len(os.listdir(collection)) for collection in directory.iterdir())


def _row(name: str, turns: Sequence[Turn]) -> Sequence[str]:
    watched = name != FILE
    return [
        name,
        number(median(turns, lambda turn: turn.rate)),
        spread(turns),
        cpu(turns, "ours"),
        cpu(turns, "database") if watched else "",
        cpu(turns, "storage"),
        *(counted(turns) if watched else [""] * 3),
        waits(turns),
    ]
