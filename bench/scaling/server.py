"""PostgreSQL as it is measured: a server of this run's own on this machine's disk, durable, with few settings changed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from lab import Lab
from sink import free_ports

PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
"""Debian's; the newest counts."""
UNPRIVILEGED: Final = ("postgres", "nobody")
OWNER: Final = "bench"
SETTINGS: Final = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
}
"""All that is not PostgreSQL's default. Every commit is synced to the disk before it is answered."""


class Server:
    """A running server; `pid` is that of the process that all its others are children of."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def url(self, database: str) -> str:
        """Return where a database is."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    async def connect(self, database: str = "postgres") -> "asyncpg.Connection[Any]":
        """Return a connection."""
        return await asyncpg.connect(self.url(database))

    async def create(self, database: str, *, like: str = "template1") -> str:
        """Make a database that holds what `like` does, to which nobody may be connected; return its URL."""
        connection = await self.connect()
        try:
            await connection.execute(f"CREATE DATABASE {database} TEMPLATE {like} STRATEGY file_copy")
        finally:
            await connection.close()
        return self.url(database)

    async def drop(self, database: str) -> None:
        """Remove a database."""
        connection = await self.connect()
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        finally:
            await connection.close()


def server(lab: Lab) -> Iterator[Server]:
    """Yield the server; for `Lab.shared`."""
    if not PROGRAMS:
        raise SystemExit("make bench-scale needs PostgreSQL: on Debian, apt-get install postgresql-15")
    with _home(lab) as home:
        (port,) = free_ports(1)
        _run("initdb", "-D", home / "data", "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8")
        options = {**SETTINGS, "port": port, "unix_socket_directories": home, "listen_addresses": "127.0.0.1"}
        with (home / "data" / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in options.items())
        _run("pg_ctl", "-D", home / "data", "-l", home / "log", "-w", "start")
        try:
            yield Server(port, int((home / "data" / "postmaster.pid").read_text().splitlines()[0]))
        finally:
            _run("pg_ctl", "-D", home / "data", "-m", "immediate", "-w", "stop")


@contextmanager
def _home(lab: Lab) -> Iterator[Path]:
    """Yield a directory of the server's user, on the disk that files of the other contenders are on."""
    lab.disk.chmod(0o711)
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=lab.disk))
    if (user := _user()) is not None:
        shutil.chown(home, user)
    yield home


def _user() -> str | None:
    """Return as whom it runs: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _run(program: str, *arguments: object) -> None:
    command = [str(PROGRAMS[-1] / program), *map(str, arguments)]
    user = _user()
    group = None if user is None else pwd.getpwnam(user).pw_gid
    done = subprocess.run(
        command,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        cwd="/",
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stderr[-1000:]}")
