"""An account of a running service, over its API: what a test needs there before a person looks at it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from consignee.demo.storage import StorageServer

SECONDS: Final = 60.0
USER: Final = "test:tester"


@dataclass(frozen=True)
class Account:
    """Asks the service at `url`, which ends with a slash, with the account's key. `bucket` is one of its own in `storage`."""

    url: str
    key: str = field(repr=False)
    storage: StorageServer
    bucket: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, content: Any = None, *, data: Any = None) -> dict[str, Any]:
        """Return the answer, which must be a success."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = self.url + path.removeprefix("/")
        async with self.session.request(method, url, json=content, data=data, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
        assert answer["request_info"]["success"], answer
        return answer

    def fields(self, name: str, **changed: Any) -> dict[str, Any]:
        """Return the fields of a destination that works: the account's bucket, unless some are `changed`."""
        return {
            "name": name,
            "enabled": True,
            "type": "s3compatible",
            "s3_endpoint": self.storage.url,
            "s3_access_key_id": USER,
            "s3_secret_access_key": self.storage.users[USER],
            "s3_bucket_name": self.bucket,
            "s3_path_prefix": "results/%COLLECTION_NAME%/%RESULT_SET_ID%",
            **changed,
        }

    async def destination(self, name: str, **changed: Any) -> str:
        """Make a destination and return its id."""
        return str((await self.ask("POST", "/destinations", self.fields(name, **changed)))["destination"]["id"])

    async def collection(self, name: str, *destination_ids: str, **more: Any) -> str:
        """Make a collection and return its id."""
        fields = {"name": name, "destination_ids": destination_ids, **more}
        return str((await self.ask("POST", "/collections", fields))["collection"]["id"])

    async def hand_over(self, collection_id: str, files: Mapping[str, bytes]) -> int:
        """Hand over a result set and return its number."""
        form = aiohttp.FormData(quote_fields=False)
        for name, content in files.items():
            form.add_field("file", content, filename=name)
        return int((await self.ask("POST", f"/collections/{collection_id}/results", data=form))["result"]["id"])

    async def ended(self, collection_id: str, number: int) -> dict[str, Any]:
        """Wait until no delivery of a result set is unfinished; return the status of each."""
        path = f"/collections/{collection_id}/results/{number}"
        headers = {"Authorization": f"Bearer {self.key}"}
        async with (
            asyncio.timeout(SECONDS),
            self.session.get(self.url + path[1:] + "/events", headers=headers) as stream,
        ):
            async for line in stream.content:
                if line.startswith(b"event: end"):
                    break
        return dict((await self.ask("GET", path))["result"]["destination_status"])

    async def keys(self, bucket: str = "") -> list[str]:
        """Return all keys in the account's bucket, or another, sorted."""
        return await self.storage.keys(USER, bucket or self.bucket)
