"""consignee secrets: rotates the key that seals secrets at rest, through the running server if there is one."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

import aiohttp

from consignee.commands.output import say
from consignee.commands.reaching import running_server
from consignee.errors import ConsigneeError, SettingsError
from consignee.opening import open_store, require_store
from consignee.rotation import KeyUse, Making, Rotation
from consignee.sealing_key import load_sealer
from consignee.settings import Settings, load_settings

_LEFT: Final = "not done: run consignee secrets rotate --resume; the log of the service says what is in the way"


def run(arguments: argparse.Namespace) -> int:
    """Print how many documents are sealed with each key; status 1 if a rotation left some on another than the first."""
    settings = load_settings(arguments.config)
    uses = asyncio.run(_run(settings, arguments))
    left = arguments.action == "rotate" and any(use.documents and not use.current for use in uses)
    say(arguments, {"keys": [asdict(use) for use in uses]}, [*map(_line, uses), *([_LEFT] if left else [])])
    return int(left)


async def _run(settings: Settings, arguments: argparse.Namespace) -> Sequence[KeyUse]:
    async with reached(settings) as rotation:
        if arguments.action == "rotate":
            return await rotation.rotate(_making(arguments))
        if arguments.action == "forget":
            await rotation.forget(arguments.id)
        return await rotation.status()


def _making(arguments: argparse.Namespace) -> Making:
    if arguments.new and arguments.resume:
        raise SettingsError("--new makes a key, --resume makes none: give one of the two")
    if arguments.new:
        return Making.ALWAYS
    return Making.NEVER if arguments.resume else Making.IF_DONE


def _line(use: KeyUse) -> str:
    note = " (current)" if use.current else "" if use.present else " (missing)"
    return f"key {use.id}: {use.documents} document{'s' * (use.documents != 1)}{note}"


class _Remote:
    """The keys of a running server, through its control socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def status(self) -> list[KeyUse]:
        return await self._ask("GET", "/secrets")

    async def rotate(self, making: Making) -> list[KeyUse]:
        return await self._ask("POST", "/secrets/rotate", {"making": making})

    async def forget(self, key_id: str) -> None:
        await self._ask("DELETE", f"/secrets/{key_id}")

    async def _ask(self, method: str, path: str, content: dict[str, str] | None = None) -> list[KeyUse]:
        try:
            async with self._session.request(method, f"http://control{path}", json=content) as response:
                answer: dict[str, Any] = json.loads(await response.read())
        except aiohttp.ClientError:
            raise ConsigneeError("the service ended before this was done: run it again") from None
        if not answer["request_info"]["success"]:
            raise ConsigneeError(answer["request_info"]["message"])
        return [KeyUse(**use) for use in answer.get("keys", [])]


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Rotation | _Remote]:
    """Yield the rotation of the running server's keys, or of those of a store that can be opened; raises StoreUnusable."""
    require_store(settings)
    async with running_server(settings.store) as session:
        if session is not None:
            yield _Remote(session)
            return
    async with open_store(settings) as store:
        yield Rotation(store, sealer=await load_sealer(settings.secrets, store), settings=settings.secrets)
