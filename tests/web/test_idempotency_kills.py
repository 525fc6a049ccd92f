"""The service is killed at every point of a create that has a key: the repetition finds one, and makes one at most."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from aiohttp import ClientError
from aiohttp import ClientSession as Session

from consignee.precedents import KIND as KEYS

from .conftest import FIELDS, form

TESTS = Path(__file__).parent.parent
LONG = 60.0
HOOK = {"name": "Reports", "destination_ids": [], "notification_webhook": "https://hooks.example.com/x"}
NEVER = ("none", 0, "after")

# Each work saves first that it is begun, then what it makes, then the answer.
WINDOWS = [
    (what, kind, number, when)
    for what, kinds in {
        "destinations": [(KEYS, 1), ("destinations", 1), (KEYS, 2)],
        "collections": [(KEYS, 1), ("collections", 1), (KEYS, 2)],
        "results": [(KEYS, 1), ("result_sets", 1), ("deliveries", 1), (KEYS, 2)],
    }.items()
    for kind, number in kinds
    for when in ("before", "after")
]


class Mortals:
    """Begins one service after the other, in processes that are forked from one where all is imported."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._pid = 0

    async def begin(self, place: Path, kind: str, number: int, when: str) -> str:
        """Begin a service that ends then; returns its URL."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(place), kind, number, when]).encode() + b"\n")
        self._process.stdin.flush()
        pid, url = (await self._line()).split()
        self._pid = int(pid)
        return url

    def kill(self) -> None:
        """End it now."""
        os.kill(self._pid, signal.SIGKILL)

    async def status(self) -> int:
        """Return how it ended, once it has."""
        return int(await self._line())

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(LONG):
            return (await asyncio.to_thread(self._process.stdout.readline)).decode().strip()


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    """What begins services."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    program = [sys.executable, "-m", "web.mortal"]
    with Popen(program, stdin=PIPE, stdout=PIPE, env=environment) as process:
        yield Mortals(process)


@asynccontextmanager
async def service(mortals: Mortals, place: Path, doom: tuple[str, int, str] = NEVER) -> AsyncIterator[Session]:
    """Run the service, and yield a session with it, as ann; in the end it must have been killed."""
    async with Session(await mortals.begin(place, *doom), headers={"X-API-Key": "key-a"}) as session:
        yield session
    if doom == NEVER:
        mortals.kill()
    assert await mortals.status() == -signal.SIGKILL


async def call(session: Session, path: str, **body: Any) -> Mapping[str, Any]:
    """Send a POST without a key and return the answer."""
    async with session.post(path, **body) as response:
        answer: dict[str, Any] = await response.json()
        assert response.status == 200, answer
        return answer


async def asked(session: Session, what: str, collection: str) -> tuple[bool, Mapping[str, Any]]:
    """Ask for one more with a key; return whether it is an answer about an earlier request, and the answer."""
    body: dict[str, Any] = {"json": FIELDS if what == "destinations" else HOOK}
    path = f"/{what}"
    if what == "results":
        path, body = f"/collections/{collection}/results", {"data": form({"a.txt": b"content"})}
    async with session.post(path, headers={"Idempotency-Key": "k"}, **body) as response:
        answer: dict[str, Any] = await response.json()
        assert response.status == 200, answer
        return "Idempotent-Replayed" in response.headers, answer


async def there(session: Session, what: str, collection: str) -> list[dict[str, Any]]:
    """Return what there is of it."""
    path = f"/collections/{collection}/results" if what == "results" else f"/{what}"
    async with session.get(path) as response:
        found: list[dict[str, Any]] = (await response.json())[what]
    return found


@pytest.mark.parametrize(("what", "kind", "number", "when"), WINDOWS)
async def test_a_create_that_was_cut_off_is_there_once(
    mortals: Mortals, tmp_path: Path, what: str, kind: str, number: int, when: str
) -> None:
    """If it was made, the repetition tells of it, with what is told only once; if not, it is made now."""
    async with service(mortals, tmp_path) as session:
        destination = (await call(session, "/destinations", json=FIELDS))["destination"]["id"]
        named = {"name": "Shop", "destination_ids": [destination]}
        collection = (await call(session, "/collections", json=named))["collection"]["id"]
        before = len(await there(session, what, collection))
    async with service(mortals, tmp_path, (kind, number, when)) as session:
        with pytest.raises(ClientError):
            await asked(session, what, collection)
    async with service(mortals, tmp_path) as session:
        made = len(await there(session, what, collection)) - before
        repeated, answer = await asked(session, what, collection)
        assert repeated is bool(made) and len(await there(session, what, collection)) == before + 1
        assert await asked(session, what, collection) == (True, answer)
        if what == "collections":
            assert answer["collection"]["notification_webhook_secret"].startswith("whsec_")
