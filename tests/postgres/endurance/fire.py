"""What producers were told is kept, and what of it has arrived."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from endurance.service import Api, bucket, sha256
from endurance.test_chaos import missing
from fakes.chaos_process import ChaosServer, State

BYTES = 1000
PRODUCERS = 16
KEYED = 4
"""Of so many result sets one has an idempotency key, so that it must not be there twice, however often it was offered."""
_PAUSE = 0.25
_PAGE = 100


@dataclass
class Fire:
    """Result sets of one file each, some of them handed over under a key, and delivered to some buckets by whoever runs.

    `expected` has the SHA-256 of each object that must be there, by its place; `accepted` when each result set was acknowledged.
    """

    api: Api
    storage: ChaosServer
    expected: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    collection: str = ""
    _buckets: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def aim(self, buckets: int, **fields: str) -> None:
        """Make the destinations, and a collection, with such fields besides, that is delivered to all of them."""
        self._buckets = buckets
        ids = [await bucket(self.api, self.storage, number) for number in range(buckets)]
        answer = await self.api.post("/collections", {"name": "fire", "destination_ids": ids, **fields})
        self.collection = str(answer["collection"]["id"])

    async def produce(self, sets: int) -> None:
        """Upload so many result sets, a few at once."""
        shares = [sets * (n + 1) // PRODUCERS - sets * n // PRODUCERS for n in range(PRODUCERS)]
        await asyncio.gather(*(self._produce(share) for share in shares))

    async def _produce(self, sets: int) -> None:
        for _ in range(sets):
            await self.upload()

    async def produce_until(self, done: asyncio.Event, *, at_once: int) -> None:
        """Upload result sets, so many at once, until that."""

        async def go_on() -> None:
            while not done.is_set():
                await self.upload()

        await asyncio.gather(*(go_on() for _ in range(at_once)))

    async def upload(self) -> str:
        """Upload a result set; returns its id once it was acknowledged, and remembers what must become of it."""
        number = next(self._numbers)
        content = random.Random(number).randbytes(BYTES)
        name = f"file-{number}.bin"
        result = await self._offer(name, content, key=None if number % KEYED else f"set-{number}")
        digest, own = sha256(content), str(result["id"])
        for place in range(self._buckets):
            self.expected[f"bucket-{place:03d}/exports/{own}/{name}"] = digest
        self.accepted[own] = time.monotonic()
        return own

    async def _offer(self, name: str, content: bytes, *, key: str | None) -> dict[str, Any]:
        """Upload it until it is acknowledged, and return it as it was answered.

        A server that finds its key in use waits until it knows that who used it was killed, if it lives so long itself.
        """
        headers = {"X-API-Key": self.api.key, **({} if key is None else {"Idempotency-Key": key})}
        for _ in range(self.api.tries):
            form = aiohttp.FormData()
            form.add_field("file", content, filename=name)
            path = f"{self.api.url}/collections/{self.collection}/results"
            with suppress(aiohttp.ClientError, OSError, ValueError):
                async with self.api.session.post(path, data=form, headers=headers) as response:
                    answer: dict[str, Any] = await response.json()
                assert response.status in (200, 503) or (response.status == 409 and key is not None), answer
                if response.status == 200:
                    return dict(answer["result"])
            await asyncio.sleep(self.api.pause)
        raise AssertionError("a result set was never acknowledged")

    async def state(self) -> State:
        """Return what the storage has."""
        return await asyncio.to_thread(self.storage.state)

    async def all_there(self) -> State:
        """Return once everything that was acknowledged has arrived as it was."""
        while missing(state := await self.state(), self.expected):
            await asyncio.sleep(_PAUSE)
        return state

    async def all_delivered(self) -> None:
        """Return once every acknowledged result set has arrived by what the service says."""
        while not set(self.accepted) <= {*await self.delivered()}:
            await asyncio.sleep(_PAUSE)

    async def delivered(self) -> list[str]:
        """Return the result sets of which the service says that every delivery has succeeded."""
        found: list[str] = []
        for page in itertools.count():
            path = f"/collections/{self.collection}/results?page_size={_PAGE}&page={page + 1}"
            results = (await self.api.get(path))["results"]
            found += [str(one["id"]) for one in results if _succeeded(one["destination_status"].values())]
            if len(results) < _PAGE:
                return found
        raise AssertionError("there is no last page")


def _succeeded(statuses: Sequence[dict[str, object]]) -> bool:
    return all(status["status"] == "success" for status in statuses)


def twice(state: State) -> list[str]:
    """Return the files that were handed over under a key and are in more than one result set of the first bucket."""
    places = Counter(name.rpartition("/")[2] for name in state.objects if name.startswith("bucket-000/"))
    return [name for name, count in places.items() if count > 1 and not _number(name) % KEYED]


def _number(name: str) -> int:
    return int(name.removeprefix("file-").removesuffix(".bin"))


def repeated(state: State) -> tuple[int, int]:
    """Return how many uploads into customers' buckets stored what was there already, and how many objects they have."""
    objects = [stored for name, stored in state.objects.items() if name.startswith("bucket-")]
    return sum(stored.puts - 1 for stored in objects), len(objects)
