"""What is read before and after a turn: CPU time by kind of process, and what the database counted; and what it waits for."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncpg

TICKS: Final = os.sysconf("SC_CLK_TCK")
LOOKS: Final = 0.02
"""Seconds between two looks at what the database's processes wait for."""
COUNTED: Final = """
SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal,
       (SELECT wal_sync FROM pg_stat_wal) AS syncs,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = $1) AS commits,
       (SELECT xact_rollback FROM pg_stat_database WHERE datname = $1) AS rollbacks,
       (SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = $1) AS pages,
       (SELECT deadlocks FROM pg_stat_database WHERE datname = $1) AS deadlocks
"""
WAITING: Final = """
SELECT coalesce(wait_event_type || ': ' || wait_event, 'CPU') AS what, count(*) AS count
FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND pid <> pg_backend_pid() GROUP BY 1
"""


def cpu_of(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these processes and all their children, also those that ended, have used so far."""
    wanted, stats = set(pids), dict(_stats())
    while found := {pid for pid, (parent, _) in stats.items() if parent in wanted} - wanted:
        wanted |= found
    return sum(ticks for pid, (_, ticks) in stats.items() if pid in wanted) / TICKS


def _stats() -> Iterable[tuple[int, tuple[int, int]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            yield int(entry.name), (int(fields[1]), sum(map(int, fields[11:15])))


def peak_of(pid: int) -> float:
    """Return the most memory in MB that a running process has had."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


@dataclass(frozen=True)
class Reading:
    """What was counted in a stretch of time: CPU seconds by kind of process, the database's counts, its waits by share."""

    seconds: float
    cpu: Mapping[str, float]
    counts: Mapping[str, float] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)


class Gauges:
    """Reads while something runs. `groups` are the processes by kind; `database` is watched, if there is a connection."""

    def __init__(
        self, groups: Mapping[str, Iterable[int]], connection: "asyncpg.Connection[Any] | None", database: str
    ) -> None:
        self._groups = {name: [*pids] for name, pids in groups.items()}
        self._connection = connection
        self._database = database
        self._waits: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._over = False
        self._began = (0.0, dict[str, float](), dict[str, float]())

    async def begin(self) -> None:
        """Count from now on."""
        self._began = await self._read()
        self._looking = asyncio.create_task(self._look())

    async def end(self) -> Reading:
        """Return what was counted since."""
        self._over = True
        if self._looking is not None:
            await self._looking
        (then, cpu, counts), (now, cpu_now, counts_now) = self._began, await self._read()
        looks = sum(self._waits.values()) or 1
        return Reading(
            now - then,
            {name: cpu_now[name] - used for name, used in cpu.items()},
            {name: counts_now[name] - count for name, count in counts.items()},
            {name: count / looks for name, count in self._waits.most_common()},
        )

    async def _read(self) -> tuple[float, dict[str, float], dict[str, float]]:
        counts: dict[str, float] = {}
        if self._connection is not None:
            row = await self._connection.fetchrow(COUNTED, self._database)
            counts = {name: float(value or 0) for name, value in dict(row or {}).items()}
        now = asyncio.get_running_loop().time()
        return now, {name: cpu_of(pids) for name, pids in self._groups.items()}, counts

    async def _look(self) -> None:
        while self._connection is not None and not self._over:
            for row in await self._connection.fetch(WAITING, self._database):
                self._waits[row["what"]] += row["count"]
            await asyncio.sleep(LOOKS)
