"""Clients that ask over raw connections, and what they were answered; they heed no Retry-After, and never tire."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Tally:
    """What came of requests: how many of each status, and the seconds that each answer took."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    without_retry_after: int = 0
    broken: int = 0

    def note(self, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        """Count an answer."""
        self.seconds.setdefault(status, []).append(seconds)
        self.without_retry_after += status in (429, 503) and "retry-after" not in headers

    def count(self, status: int) -> int:
        """Return how many were answered so."""
        return len(self.seconds.get(status, ()))

    @property
    def statuses(self) -> Counter[int]:
        """Return how many were answered how."""
        return Counter({status: len(times) for status, times in self.seconds.items()})


def quantile(times: Sequence[float], part: float) -> float:
    """Return the time that such a part of them does not exceed, in milliseconds; 0 if there are none."""
    return 1000 * sorted(times)[min(len(times) - 1, int(len(times) * part))] if times else 0.0


def message(method: str, path: str, *, key: str, content: Mapping[str, Any] | None = None) -> bytes:
    """Return a request as it is sent."""
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: consignee\r\nX-API-Key: {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class Line:
    """One connection, opened anew when it was closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname or "", parts.port or 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next request goes out on the connection of the last one."""
        return self._writer is not None

    async def ask(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer; raises OSError or EOFError if there is none."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        try:
            self._writer.write(sent)
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self._reader.readexactly(int(headers["content-length"]))
        except BaseException:
            self.close()
            raise
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, body

    def close(self) -> None:
        """Close it, without a wait."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def ask_on(line: Line, tally: Tally, make: Callable[[], bytes], until: float, *, pause: float = 0.0) -> None:
    """Ask one thing after the other, perhaps with pauses, until that time of the monotonic clock."""
    try:
        while (began := time.monotonic()) < until:
            try:
                status, headers, _ = await line.ask(make())
            except (OSError, EOFError):
                tally.broken += 1
                await asyncio.sleep(0.01)
            else:
                tally.note(status, time.monotonic() - began, headers)
                await asyncio.sleep(pause)
    finally:
        line.close()


async def flood(url: str, makes: Sequence[Callable[[], bytes]], *, seconds: float, tally: Tally | None = None) -> Tally:
    """Ask on one connection for each of `makes`, for so many seconds from when all are open."""
    tally, lines = Tally() if tally is None else tally, [Line(url) for _ in makes]
    for line in lines:
        await line.ask(message("GET", "/healthz", key="none"))
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for line, make in zip(lines, makes, strict=True):
            group.create_task(ask_on(line, tally, make, until))
    return tally


@contextmanager
def many_files() -> Iterator[None]:
    """Let this process have as many connections as the system allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
