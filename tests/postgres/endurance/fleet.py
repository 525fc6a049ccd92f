"""Servers and workers, each a process of its own, on one database: killed at any moment, and started again."""

import asyncio
import itertools
import random
import selectors
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from endurance.service import Api

from .site import COMMAND, Site

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_TRIES = 3000
_FAULTS = (" ERROR asyncio: ", "internal error", "unexpectedly", "Traceback")
_ANSWER = aiohttp.ClientTimeout(total=30)


class Member:
    """One process; `url` is where it answers, if it does, since it was last started."""

    def __init__(self, name: str, site: Site, *arguments: str) -> None:
        self.name = name
        self.log = site.config.with_name(f"{name}.log")
        self._command = [*COMMAND, *arguments, "--config", str(site.config)]
        self._environment = site.environment
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def runs(self) -> bool:
        """Whether it is ready, as far as is known here."""
        return self._process is not None

    async def start(self) -> None:
        """Start it; returns once it says that it is ready, and fails if it does not."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        with self.log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, env=self._environment)
        try:
            self.url = self._ready(process)
        except BaseException:
            _end(process)
            raise
        self._process = process

    def _ready(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline().decode() if selector.select(_START_SECONDS) else ""
        assert " is ready" in line, f"{self.name} printed {line!r}, and logged: {self.log.read_text()[-2000:]}"
        return line.partition(" at ")[2].strip()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    async def stand_still(self, seconds: float) -> None:
        """Let it do nothing for so long, and then go on as if nothing had been."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def complaints(self) -> list[str]:
        """What it logged of faults in the program itself, as against what others did to it."""
        return [line for line in self.log.read_text().splitlines() if any(word in line for word in _FAULTS)]

    def stop(self) -> int:
        """Ask it to end, and return its status."""
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            return process.wait(_STOP_SECONDS)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


class Fleet:
    """All of them: `servers` take result sets in and deliver nothing, `workers` deliver."""

    def __init__(self, site: Site, *, servers: int, workers: int) -> None:
        self.servers = [Member(f"server-{n}", site, "serve", "--no-worker") for n in range(servers)]
        self.workers = [Member(f"worker-{n}", site, "worker") for n in range(workers)]
        self.kills = 0

    @property
    def members(self) -> list[Member]:
        """Servers and workers."""
        return [*self.servers, *self.workers]

    async def start(self) -> None:
        """Start those that do not run, all at once."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.members:
                if not member.runs:
                    tasks.create_task(member.start())

    async def kill_again_and_again(self, done: asyncio.Event, *, every: float, seed: int) -> None:
        """Kill one of those that run every so many seconds, and start it again, until all is done."""
        dice = random.Random(seed)
        async with asyncio.TaskGroup() as starting:
            while not done.is_set():
                try:
                    async with asyncio.timeout(every):
                        await done.wait()
                except TimeoutError:
                    if running := [member for member in self.members if member.runs]:
                        member = dice.choice(running)
                        member.kill()
                        self.kills += 1
                        starting.create_task(member.start())

    async def stop(self) -> None:
        """Ask all to end, which they must do well, and must not have complained of themselves."""
        statuses = await asyncio.gather(*(asyncio.to_thread(member.stop) for member in self.members))
        assert statuses == [0] * len(self.members)
        assert [line for member in self.members for line in member.complaints] == []

    def kill(self) -> None:
        """End those that run."""
        for member in self.members:
            member.kill()


class Balanced(Api):
    """A client of several servers, who asks another one when one does not answer."""

    def __init__(self, session: aiohttp.ClientSession, servers: Sequence[Member]) -> None:
        self._turns = itertools.cycle(servers)
        super().__init__(session, "", tries=_TRIES)

    @property
    def url(self) -> str:
        """Where the next request goes: to the next server that runs."""
        found = next(self._turns)
        for member in (found, *itertools.islice(self._turns, 2)):
            if member.runs:
                return member.url
        return found.url

    @url.setter
    def url(self, url: str) -> None:
        pass


@asynccontextmanager
async def fleet(site: Site, *, servers: int, workers: int) -> AsyncIterator[tuple[Fleet, Api]]:
    """Run them all, and yield them with a client; they are gone in the end."""
    members = Fleet(site, servers=servers, workers=workers)
    try:
        await members.start()
        async with aiohttp.ClientSession(timeout=_ANSWER) as session:
            yield members, Balanced(session, members.servers)
    finally:
        members.kill()
