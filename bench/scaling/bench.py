"""What all sections share: the lab, the database server, names of databases, and a connection that watches one."""

import itertools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from lab import Lab
from scaling.gauges import Gauges
from scaling.server import Server, server


class Bench:
    """`tell` is told how it goes."""

    def __init__(self, lab: Lab, tell: Callable[[str], None]) -> None:
        self.lab = lab
        self.tell = tell
        self._numbers = itertools.count(1)

    @property
    def server(self) -> Server:
        """The database server, started when it is first asked for."""
        found: Server = self.lab.shared(server)
        return found

    def directory(self) -> Path:
        """Return a new directory on the disk, for its owner alone."""
        return Path(tempfile.mkdtemp(dir=self.lab.disk))

    async def migrated(self, database: str) -> str:
        """Make a database with our tables, as an operator does; return its URL."""
        url = await self.server.create(database)
        self.lab.run(consignee("migrate"), environment={"CONSIGNEE_STORE__URL": url}, core=None)
        return url

    @asynccontextmanager
    async def copy(self, database: str) -> AsyncIterator[str]:
        """Yield the name of a database that holds what this one does; it is gone afterwards."""
        name = f"turn_{next(self._numbers)}"
        await self.server.create(name, like=database)
        try:
            yield name
        finally:
            await self.server.drop(name)

    @asynccontextmanager
    async def copied(self, directory: Path) -> AsyncIterator[Path]:
        """Yield a directory that holds what this one does; it goes at the end of all: many removals slow ext4 down."""
        copy = self.directory()
        shutil.copytree(directory, copy, dirs_exist_ok=True)
        yield copy

    @asynccontextmanager
    async def gauges(self, groups: Mapping[str, Iterable[int]], database: str | None) -> AsyncIterator[Gauges]:
        """Yield gauges, begun; those of a database if there is one."""
        if database is None:
            made = Gauges(groups, None, "")
            await made.begin()
            yield made
            return
        connection = await self.server.connect()
        try:
            made = Gauges({**groups, "database": [self.server.pid]}, connection, database)
            await made.begin()
            yield made
        finally:
            await connection.close()


def consignee(*arguments: object) -> list[str]:
    """Return a command of ours, of the environment that measures."""
    return [str(Path(sys.executable).parent / "consignee"), *map(str, arguments)]
