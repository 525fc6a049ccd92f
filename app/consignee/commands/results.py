"""consignee results: the result sets of a collection, at a running service."""

import argparse
from pathlib import Path
from typing import Final

from consignee.client import Client, ListedResultSet, ResultSet
from consignee.commands.collections import of_name
from consignee.commands.deliveries import first
from consignee.commands.output import members, say, table
from consignee.commands.progress import size
from consignee.commands.remote import Actions, act, found
from consignee.commands.saving import save

_HEADS: Final = ("NUMBER", "ENDED", "EXPIRES", "FILES", "DELIVERIES")
_STATUS: Final = ("DESTINATION", "STATUS", "FILES", "SENT", "ATTEMPTS", "LAST")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; return 0."""
    return act(arguments, _ACTIONS)


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    collection = await of_name(client, arguments.collection)
    known = await first(client.results.list(collection.id), arguments.limit)
    document = {"collection_id": collection.id, "results": [one.to_json() for one in known]}
    say(arguments, document, table(_HEADS, map(_row, known)))
    return 0


def _row(one: ListedResultSet) -> tuple[object, ...]:
    counts: dict[str, int] = {}
    for status in one.destination_status.values():
        counts[status.status] = counts.get(status.status, 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return (one.id, one.ended_at, one.expires_at, len(one.download_links.pages), told)


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    collection = await of_name(client, arguments.collection)
    return _shown(arguments, await client.results.get(collection.id, arguments.number))


def _shown(arguments: argparse.Namespace, one: ResultSet) -> int:
    told = {
        "collection_id": one.collection_id,
        "number": one.id,
        "ended_at": one.ended_at,
        "expires_at": one.expires_at,
    }
    files = [(file.name, size(file.size), file.sha256) for file in one.files]
    rows = [
        (
            id_,
            each.status,
            f"{each.files_done}/{each.files_total}",
            size(each.bytes_done),
            each.attempts,
            each.log[-1].text if each.log else "",
        )
        for id_, each in one.destination_status.items()
    ]
    lines = [*members(told), *table(("FILE", "SIZE", "SHA-256"), files), *table(_STATUS, rows)]
    say(arguments, {"collection_id": one.collection_id, "result": one.to_json()}, lines)
    return 0


async def _resend(client: Client, arguments: argparse.Namespace) -> int:
    collection = await of_name(client, arguments.collection)
    names = arguments.destination or ()
    ids = [(await found(client.destinations.list(), name, "destination")).id for name in names] or None
    return _shown(arguments, await client.results.resend(collection.id, arguments.number, destination_ids=ids))


async def _download(client: Client, arguments: argparse.Namespace) -> int:
    collection = await of_name(client, arguments.collection)
    result = await client.results.get(collection.id, arguments.number)
    for path in await save(client, result, arguments.names, Path(arguments.directory)):
        say(arguments, {"file": str(path), "size": path.stat().st_size}, [str(path)])
    return 0


_ACTIONS: Final[Actions] = {
    "list": _list,
    "show": _show,
    "resend": _resend,
    "download": _download,
}
