"""Two accounts of one service, with one of everything each; and what one of them gets to see and to change of the other."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from consignee.web import DESTINATIONS

from .conftest import FIELDS, Client, form

MARK: Final = "annmark"
"""In every name that ann gives to anything."""
KEYS: Final = {"ann": "key-a", "bob": "key-b"}
_NOISE: Final = ("X-Trace-ID", "Date", "Content-Length", "RateLimit")
_VARYING: Final = re.compile(rb'"[0-9A-F]{8}"|"ms":[0-9]+|"[0-9-]{10}T[0-9:.]+Z"|consignee-test-[0-9a-f]+')


@dataclass(frozen=True)
class Ids:
    """What names the things of an account; nothing of it needs to be there."""

    destination: str
    collection: str
    number: str
    file: str

    @property
    def delivery(self) -> str:
        """The id of the delivery of its result set."""
        return f"{self.collection}.{self.number.zfill(10)}.{self.destination}"

    def path(self, pattern: str) -> str:
        """Return a route's path with these ids in it; raises KeyError for one of which it is not known what it is about."""
        first = {"destinations": self.destination, "collections": self.collection, "deliveries": self.delivery}
        if "{" not in pattern:
            return pattern
        values = {"id": first[pattern.split("/")[1]], "n": self.number, "name": self.file}
        return pattern.format_map(values)


NOWHERE: Final = Ids(destination="0DEAD000", collection="0DEAD001", number="1", file="dead.txt")


@dataclass(frozen=True)
class Answer:
    """An answer without what differs from each one to the next."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def plain(self, *ids: Ids) -> "Answer":
        """Return it with these ids, and what is new with each answer, made alike."""
        body = self.body
        for one in ids:
            for text in (one.delivery, one.destination, one.collection, one.file):
                body = body.replace(text.encode(), b"ID")
        return Answer(self.status, self.headers, _VARYING.sub(b'"..."', body).replace(b'"ID"', b'"..."'))


class Tenants:
    """The service with both accounts; `ids` are what names the things of each."""

    def __init__(self, client: Client, hooks: str) -> None:
        self.client = client
        self.ids: dict[str, Ids] = {}
        self._hooks = hooks

    async def settle(self, account: str, *, destination: str = "", collection: str = "") -> None:
        """Give an account one of everything, if so wished with these ids, and wait until all of it is at rest."""
        destinations = self.client.app[DESTINATIONS]
        mark = MARK if account == "ann" else "other"
        fields = {**FIELDS, "name": f"{mark} bucket", "memory_path_prefix": mark}
        made = await destinations.create(account, fields, id=destination)
        values = {"name": f"{mark} shop", "destination_ids": [made.id], "notification_webhook": f"{self._hooks}/{mark}"}
        shop = await destinations.dispatch.collections.create(account, values, id=collection)
        self.ids[account] = ids = Ids(made.id, shop.id, "1", f"{mark}.txt")
        data = form({ids.file: mark.encode()})
        answer = await self.ask(account, "POST", f"/collections/{shop.id}/results", data=data)
        assert answer.status == 200, answer
        await self._rested(account)

    async def _rested(self, account: str) -> None:
        path = self.ids[account].path("/collections/{id}/results/{n}")
        async with asyncio.timeout(30):
            while True:
                result = json.loads((await self.ask(account, "GET", path)).body)["result"]
                states = [*result["destination_status"].values(), result["webhook_status"]]
                if all(state and state["status"] == "success" for state in states):
                    return
                await asyncio.sleep(0.01)

    async def ask(self, account: str, method: str, path: str, **more: Any) -> Answer:
        """Send a request as that account; the path goes out as it is written."""
        headers = {"X-API-Key": KEYS[account], **more.pop("headers", {})}
        url = URL(f"http://{self.client.host}:{self.client.port}{path}", encoded=True)
        async with self.client.session.request(method, url, headers=headers, **more) as response:
            body = await response.read()
        shown = {name: value for name, value in response.headers.items() if name not in _NOISE}
        return Answer(response.status, shown, body)

    async def everything(self, account: str) -> Any:
        """Return all that the store holds of an account, and its file as it is answered."""
        store = self.client.app[DESTINATIONS].store
        documents = {kind: await store.list(kind, account) for kind in store.kinds()}
        path = self.ids[account].path("/collections/{id}/results/{n}/files/{name}")
        return documents, (await self.ask(account, "GET", path)).body


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Run a server that takes every message to a webhook, and yield its URL."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/{any}", take)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
