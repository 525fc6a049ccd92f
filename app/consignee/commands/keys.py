"""consignee keys: makes, lists and revokes API keys, through the running server if there is one."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from consignee.accounts import Accounts, open_accounts
from consignee.commands.output import say
from consignee.commands.reaching import running_server
from consignee.errors import ConsigneeError
from consignee.opening import open_store
from consignee.sealing_key import load_sealer
from consignee.settings import Settings, load_settings
from consignee.store.disk import make_directory


def run(arguments: argparse.Namespace) -> int:
    """Print the new key, or the keys there are."""
    say(arguments, *asyncio.run(_run(load_settings(arguments.config), arguments)))
    return 0


async def _run(settings: Settings, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], list[str]]:
    async with _keys(settings) as keys:
        if arguments.action == "create":
            created = await keys.create(arguments.account)
            return {"account": arguments.account, "api_key": created}, [created]
        if arguments.action == "revoke":
            await keys.revoke(arguments.id)
            return {"revoked": arguments.id}, [f"revoked {arguments.id}"]
        known = [{name: key[name] for name in ("id", "account", "created_at")} for key in await keys.list()]
        return {"keys": known}, ["  ".join(key.values()) for key in known]


class _Direct:
    """The keys in a store that this process opened."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def create(self, account: str) -> str:
        return await self._accounts.create_key(account)

    async def list(self) -> list[Mapping[str, Any]]:
        return [vars(key) for key in await self._accounts.list_keys()]

    async def revoke(self, id: str) -> None:  # noqa: A002
        await self._accounts.revoke_key(id)


class _Remote:
    """The keys of a running server, through its control socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def create(self, account: str) -> str:
        return str((await self._ask("POST", "/keys", {"account": account}))["api_key"])

    async def list(self) -> list[Mapping[str, Any]]:
        return list((await self._ask("GET", "/keys"))["keys"])

    async def revoke(self, id: str) -> None:  # noqa: A002
        await self._ask("DELETE", f"/keys/{id}")

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        async with self._session.request(method, f"http://control{path}", json=content) as response:
            answer: Mapping[str, Any] = json.loads(await response.read())
        if not answer["request_info"]["success"]:
            raise ConsigneeError(answer["request_info"]["message"])
        return answer


@asynccontextmanager
async def _keys(settings: Settings) -> AsyncIterator[_Direct | _Remote]:
    if not settings.store.url:
        make_directory(Path(settings.store.path))
    async with running_server(settings.store) as session:
        if session is not None:
            yield _Remote(session)
            return
    async with open_store(settings) as store:
        sealer = await load_sealer(settings.secrets, store)
        yield _Direct(await open_accounts(store, sealer=sealer, fixed=settings.accounts.fixed))
