"""consignee deliveries: what became of the files, at a running service."""

import argparse
from collections.abc import AsyncIterator
from typing import Final, TypeVar

from consignee.client import Client, Delivery, ListedDelivery
from consignee.commands.collections import of_name
from consignee.commands.output import members, say, table
from consignee.commands.progress import size
from consignee.commands.remote import Actions, Unknown, act, found

_HEADS: Final = ("ID", "STATUS", "FILES", "SENT", "ATTEMPTS", "CODE", "NEXT ATTEMPT", "LAST")
_UPLOADS: Final = ("AT", "ATTEMPT", "OK", "CODE", "SIZE", "KEY")

One = TypeVar("One")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; return 0."""
    return act(arguments, _ACTIONS)


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    collection = await of_name(client, arguments.collection) if arguments.collection else None
    destination = await _destination(client, arguments.destination) if arguments.destination else None
    every = client.deliveries.list(
        collection_id=collection.id if collection else None, destination_id=destination, status=arguments.status
    )
    known = await first(every, arguments.limit)
    say(arguments, {"deliveries": [one.to_json() for one in known]}, table(_HEADS, map(_row, known)))
    return 0


async def _destination(client: Client, wanted: str) -> str:
    return (await found(client.destinations.list(), wanted, "destination")).id


async def first(every: AsyncIterator[One], most: int) -> list[One]:
    """Return so many of them at most."""
    chosen: list[One] = []
    async for one in every:
        chosen.append(one)
        if len(chosen) >= most:
            break
    return chosen


def _row(one: ListedDelivery) -> tuple[object, ...]:
    last = one.log[-1].text if one.log else ""
    files = f"{one.files_done}/{one.files_total}"
    return (one.id, one.status, files, size(one.bytes_done), one.attempts, one.code, one.next_attempt_at, last)


async def _of_id(client: Client, id_: str) -> Delivery:
    if id_ in ("", ".", ".."):  # which can't stand in a URL
        raise Unknown(f"there is no delivery {id_!r}")
    return await client.deliveries.get(id_)


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    one = await _of_id(client, arguments.id)
    told = {**one.to_json(), "log": None, "uploads": None}
    log = [f"{entry.date_time}  {entry.text}" for entry in one.log]
    uploads = [(each.at, each.attempt, each.ok, each.code, size(each.bytes), each.key) for each in one.uploads]
    say(arguments, {"delivery": one.to_json()}, [*members(told), *log, *table(_UPLOADS, uploads)])
    return 0


async def _resend(client: Client, arguments: argparse.Namespace) -> int:
    one = await _of_id(client, arguments.id)
    await client.results.resend(one.collection_id, one.result_set_id, destination_ids=[one.destination_id])
    again = await client.deliveries.get(one.id)
    say(arguments, {"delivery": again.to_json()}, [f"{again.id}: {again.status}"])
    return 0


_ACTIONS: Final[Actions] = {
    "list": _list,
    "show": _show,
    "resend": _resend,
}
