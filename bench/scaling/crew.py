"""Several processes that do the same together: started, made ready, let go at once, and asked for what they found."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any, Final

from lab import CLIENTS, TURN_SECONDS, TurnFailed

LINE_BYTES: Final = 1 << 20


class Crew:
    """Running processes of one client; what they say besides goes to `log`."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], log: IO[bytes]) -> None:
        self._processes = processes
        self._log = log

    @property
    def pids(self) -> list[int]:
        """Their ids."""
        return [each.pid for each in self._processes]

    async def ready(self) -> None:
        """Return when each has said so; raises TurnFailed."""
        await self._lines()

    async def tell(self, word: str) -> None:
        """Send all of them a line."""
        for each in self._processes:
            assert each.stdin is not None
            each.stdin.write(f"{word}\n".encode())
            await each.stdin.drain()

    async def found(self) -> list[Mapping[str, Any]]:
        """Return the next line of each, which is JSON; raises TurnFailed."""
        return [json.loads(line) for line in await self._lines()]

    async def _lines(self) -> list[bytes]:
        async with asyncio.timeout(TURN_SECONDS):
            lines = await asyncio.gather(*(_line(each) for each in self._processes))
        if all(lines):
            return lines
        self._log.seek(0)
        said = self._log.read()[-3000:].decode(errors="replace")
        raise TurnFailed(f"a process ended before it was asked to:\n{said}")


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


def client(name: str, *arguments: object) -> list[str]:
    """Return the command that runs `clients/<name>.py`."""
    return [sys.executable, str(CLIENTS / f"{name}.py"), *map(str, arguments)]


@asynccontextmanager
async def crew(count: int, command: Sequence[str], environment: Mapping[str, str] | None = None) -> AsyncIterator[Crew]:
    """Yield so many processes of a command, on any core; they are asked to end, and have ended, afterwards."""
    with tempfile.TemporaryFile() as log:
        processes = [await _started(command, environment or {}, log) for _ in range(count)]
        try:
            yield Crew(processes, log)
            for each in processes:
                each.terminate()
            async with asyncio.timeout(TURN_SECONDS):
                await asyncio.gather(*(each.wait() for each in processes))
        finally:
            for each in processes:
                if each.returncode is None:
                    each.kill()
                    await each.wait()


async def _started(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
) -> asyncio.subprocess.Process:
    pipe, variables = asyncio.subprocess.PIPE, {**os.environ, **environment}
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=log, limit=LINE_BYTES, env=variables
    )
