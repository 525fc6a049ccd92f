"""A client that changes destinations at random until the server is killed, and tells a ledger what it did.

A destination is named there by its account and its bucket, which never changes; what changes is its name.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from store.ledger import Ledger

KEPT = 8
_PADDING = "x" * 700  # so that the store's file grows soon to where it is compacted


@dataclass(frozen=True)
class Api:
    """The service as one account sees it; `url` changes with each start."""

    session: aiohttp.ClientSession
    url: str
    account: str

    async def ask(
        self, method: str, path: str = "", content: Mapping[str, Any] | None = None, *, expect: int = 200, **query: int
    ) -> Any:
        """Return the body of the answer, which must have the status `expect`."""
        url = f"{self.url}/destinations{path}"
        params: dict[str, str | int] = {"api_key": key_of(self.account), **query}
        async with self.session.request(method, url, params=params, json=content) as response:
            answer = await response.json()
        assert response.status == expect, f"{method} {path}: {response.status} {answer}"
        return answer

    async def everything(self) -> list[dict[str, Any]]:
        """Return all destinations of the account, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            answer = await self.ask("GET", page=len(found) // 10 + 1)
            found += answer["destinations"]
            if not answer["destinations"] or len(found) == answer["pagination"]["total_count"]:
                assert len(found) == answer["pagination"]["total_count"] == answer["usage"]["used"]
                return found


def key_of(account: str) -> str:
    """Return the API key of an account."""
    return f"key-of-{account}"


def prefix_of(name: str) -> str:
    """Return the path prefix that goes with a name: both change at once, or neither."""
    return f"{name}/{_PADDING}"


@dataclass
class Writer:
    """One client. `ids` are those of its destinations that are there, by bucket; `deleted` those that it has removed."""

    name: str
    account: str
    ledger: Ledger
    dice: random.Random
    ids: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    _begun: int = 0

    async def run(self, api: Api, *, progress: asyncio.Semaphore, killed: Callable[[], bool]) -> None:
        """Change destinations until the connection breaks, which it may only when `killed`; count in `progress`."""
        try:
            while True:
                await self._change(api)
                progress.release()
        except aiohttp.ClientError:
            if not killed():
                raise

    async def _change(self, api: Api) -> None:
        self._begun += 1
        missing = len(self.ids) < KEPT
        if not self.ids or (missing and self.dice.random() < 0.5):
            await self._create(api, f"{self.name}-{self._begun}")
        elif self.dice.random() < 0.3:
            await self._delete(api, self.dice.choice(list(self.ids)))
        else:
            await self._update(api, self.dice.choice(list(self.ids)))

    async def _create(self, api: Api, bucket: str) -> None:
        values = {
            "enabled": False,
            "type": "s3compatible",
            "s3_endpoint": "https://storage.example.com",
            "s3_access_key_id": "some-key",
            "s3_secret_access_key": "some-secret",
            "s3_bucket_name": bucket,
        }
        self.ids[bucket] = await self._save(api, "POST", "", bucket, values)

    async def _update(self, api: Api, bucket: str) -> None:
        await self._save(api, "PUT", f"/{self.ids[bucket]}", bucket, {})

    async def _save(self, api: Api, method: str, path: str, bucket: str, values: Mapping[str, Any]) -> str:
        document, name = f"{self.account}/{bucket}", f"{bucket} version {self._begun}"
        self.ledger.begin(document, name)
        answer = await api.ask(method, path, {**values, "name": name, "s3_path_prefix": prefix_of(name)})
        self.ledger.acknowledge(document, name)
        return str(answer["destination"]["id"])

    async def _delete(self, api: Api, bucket: str) -> None:
        document = f"{self.account}/{bucket}"
        self.ledger.begin(document, None)
        await api.ask("DELETE", f"/{self.ids[bucket]}")
        self.ledger.acknowledge(document, None)
        self.deleted.append(self.ids.pop(bucket))
