"""Some members of a site at work, and what a test asks of them."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from endurance.service import KEY, Api

from .cluster import Cluster
from .endurance.fleet import Member
from .endurance.site import COMMAND, Site

SECONDS: Final = 60.0
"""Within which what is waited for must come about, on a machine that has much else to do."""
DELIVERY: Final = 'retries = ["1s", "1s", "1s", "1s", "1s", "1s"]\nbreaker = 100\nlease = 5\n'


def server(site: Site, name: str = "server", *arguments: str) -> Member:
    """Return a server that leaves deliveries to workers, not started yet."""
    return Member(name, site, "serve", "--no-worker", *arguments)


def worker(site: Site, name: str = "worker") -> Member:
    """Return a worker that says over HTTP how it is, not started yet."""
    return Member(name, site, "worker", "--port", "0")


@asynccontextmanager
async def at_work(*members: Member) -> AsyncIterator[Api]:
    """Start them all at once, and yield a client of the first one; all must end well."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for member in members:
                tasks.create_task(member.start())
        async with aiohttp.ClientSession() as session:
            yield Api(session, members[0].url)
        assert [await asyncio.to_thread(member.stop) for member in members] == [0] * len(members)
    finally:
        for member in members:
            member.kill()


async def asked(api: Api, url: str, *, key: str = KEY) -> tuple[int, Any]:
    """Return the status of the answer to a GET, and what it says: JSON, or text."""
    async with api.session.get(url, headers={"X-API-Key": key}) as response:
        is_json = response.content_type == "application/json"
        return response.status, await (response.json() if is_json else response.text())


async def until_status(api: Api, url: str, status: int, *, key: str = KEY) -> None:
    """Wait until a GET is answered with that status."""
    async with asyncio.timeout(SECONDS):
        while (await asked(api, url, key=key))[0] != status:
            await asyncio.sleep(0.05)


async def until_all_succeeded(api: Api, url: str) -> None:
    """Wait until the server at that URL says of each delivery that it succeeded."""
    async with asyncio.timeout(SECONDS):
        while True:
            _, answer = await asked(api, f"{url}/deliveries?page_size=100")
            if {one["status"] for one in answer["deliveries"]} == {"success"}:
                return
            await asyncio.sleep(0.05)


@contextmanager
def silent(cluster: Cluster) -> Iterator[None]:
    """Let a database server answer nothing, while its connections stay open, until the block ends."""
    children = Path(f"/proc/{cluster.pid}/task/{cluster.pid}/children").read_text().split()
    pids = [cluster.pid, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def refused(site: Site, *arguments: str) -> str:
    """Run a command that must be refused in a line; return what it says."""
    command = [*COMMAND, *arguments, "--config", str(site.config)]
    done = subprocess.run(command, env=site.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr
