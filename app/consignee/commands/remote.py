"""A running service, asked over HTTP, and what of it is meant by a name."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

from consignee.client import Client, Retries
from consignee.commands.output import printable
from consignee.commands.whereabouts import key_of, url_of
from consignee.errors import ConsigneeError
from consignee.settings import load_settings

_RETRIES: Final = Retries(most=3, first=0.2, longest=2.0)
"""Somebody waits for the command."""


class Unknown(ConsigneeError):
    """There is not just one thing of that name."""

    code = "not_found"


class Named(Protocol):
    """A collection or a destination."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


One = TypeVar("One", bound=Named)
Actions = Mapping[str, Callable[[Client, argparse.Namespace], Awaitable[int]]]
"""What a command can do at a running service, by its word; each returns the exit code."""


def act(arguments: argparse.Namespace, actions: Actions) -> int:
    """Do what is asked for at the running service; return the exit code."""
    return asyncio.run(_act(arguments, actions))


async def _act(arguments: argparse.Namespace, actions: Actions) -> int:
    async with reached(arguments) as client:
        return await actions[arguments.action](client, arguments)


@asynccontextmanager
async def reached(arguments: argparse.Namespace) -> AsyncIterator[Client]:
    """Yield a client of the service that the options or the settings name; raises SettingsError."""
    settings = load_settings(arguments.config)
    url = url_of(arguments.url, settings)
    async with Client(url, key_of(arguments.key_file, settings), retries=_RETRIES) as client:
        yield client


async def found(every: AsyncIterator[One], wanted: str, kind: str) -> One:
    """Return the one of that id, or else of that name; raises Unknown if there is not just one."""
    return chosen([one async for one in every], wanted, kind)


def chosen(known: Iterable[One], wanted: str, kind: str) -> One:
    """Return the one of that id, or else of that name; raises Unknown if there is not just one."""
    every = [*known]
    fitting = [one for one in every if one.id == wanted] or [one for one in every if one.name == wanted]
    if not fitting:
        raise Unknown(f"there is no {kind} {printable(wanted)!r}")
    if len(fitting) > 1:
        ids = ", ".join(one.id for one in fitting)
        raise Unknown(f"there are {len(fitting)} {kind}s of that name; give the id of one: {printable(ids)}")
    return fitting[0]
