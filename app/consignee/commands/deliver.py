"""consignee deliver: hands files to a running service as one result set, and follows it to its destinations."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consignee.client import Client, ClientError, DeliveryStatus, ResultSet
from consignee.commands.collections import of_name
from consignee.commands.output import printable, say
from consignee.commands.parcel import packed
from consignee.commands.progress import Row, progress_on, size
from consignee.commands.remote import reached

PATIENCE: Final = 60.0
"""Seconds for which a service may be away, as for a restart, before it is followed no further."""
_SHORTEST, _LONGEST = 0.2, 3.0
_INTERRUPTED: Final = 130


@dataclass
class _Accepted:
    """Where the result set can be seen, once there is one."""

    url: str = ""
    names: dict[str, str] = field(default_factory=dict)


def run(arguments: argparse.Namespace) -> int:
    """Deliver; return 0 if nothing failed, 1 if a delivery did or its end is not known."""
    files, total = packed(arguments.files)
    accepted = _Accepted()
    try:
        return asyncio.run(_deliver(files, total, accepted, arguments))
    except KeyboardInterrupt:
        if accepted.url:
            _say(f"interrupted; the delivery goes on: GET {accepted.url}")
        else:
            _say("interrupted before the service confirmed that it has the files: most likely nothing is delivered")
        return _INTERRUPTED


async def _deliver(files: Mapping[str, Path], total: int, accepted: _Accepted, arguments: argparse.Namespace) -> int:
    async with reached(arguments) as client:
        collection = await of_name(client, arguments.collection)
        result = await _hand_over(client, collection.id, files, total)
        accepted.url = f"{client.url}/collections/{collection.id}/results/{result.id}"
        about = f"{len(files)} {'file' if len(files) == 1 else 'files'}, {size(total)}"
        if not arguments.json:
            print(f"result set {result.id} of collection {collection.id}: {about}", flush=True)
        if arguments.no_wait:
            say(arguments, _document(result), [])
            return 0
        for id_ in result.destination_status:
            accepted.names[id_] = await _name_of(client, id_)
        return await _follow(client, accepted, result, total, arguments)


async def _hand_over(client: Client, collection_id: str, files: Mapping[str, Path], total: int) -> ResultSet:
    progress = progress_on(sys.stderr)

    def sent(gone: int) -> None:
        progress.show([Row("to the service", gone, total, "uploading")])

    result = await client.results.upload(collection_id, files, progress=sent)
    progress.show([Row("to the service", 1, 1, "all of it is there")])
    return result


async def _name_of(client: Client, id_: str) -> str:
    """A name is worth no more than that."""
    try:
        return printable((await client.destinations.get(id_)).name)
    except ClientError:
        return printable(id_)


async def _follow(
    client: Client, accepted: _Accepted, result: ResultSet, total: int, arguments: argparse.Namespace
) -> int:
    progress, wait, away = progress_on(sys.stderr), _SHORTEST, 0.0
    while not result.finished:
        progress.show(_rows(result, accepted.names, total))
        await asyncio.sleep(wait)
        try:
            before, result = result, await client.results.get(result.collection_id, result.id)
        except ClientError as error:
            away += wait
            if away > PATIENCE or not error.passing:
                return _lost(accepted, error, arguments, result)
        else:
            away = 0.0
            wait = _SHORTEST if result != before else min(wait * 1.5, _LONGEST)
    progress.show(_rows(result, accepted.names, total))
    say(arguments, _document(result), _told(result, accepted.names))
    return 1 if any(one.status == "failed" for one in result.destination_status.values()) else 0


def _lost(accepted: _Accepted, error: Exception, arguments: argparse.Namespace, result: ResultSet) -> int:
    say(arguments, _document(result), [])
    _say(f"{error}; whether all is delivered is not known: GET {accepted.url}")
    return 1


def _document(result: ResultSet) -> dict[str, object]:
    return {"collection_id": result.collection_id, "result": result.to_json()}


def _rows(result: ResultSet, names: Mapping[str, str], total: int) -> list[Row]:
    return [
        Row(names.get(id_, id_), *_amount(one, total), _text(one)) for id_, one in result.destination_status.items()
    ]


def _amount(one: DeliveryStatus, total: int) -> tuple[int, int]:
    return (1, 1) if one.status == "success" else (min(one.bytes_done, total), total)


def _text(one: DeliveryStatus) -> str:
    text = f"{one.status}, {one.files_done} of {one.files_total} files"
    if one.status in ("retrying", "failed", "skipped") and one.log:
        text += f": {one.log[-1].text}"
    return printable(text)


def _told(result: ResultSet, names: Mapping[str, str]) -> list[str]:
    told = [f"{names.get(id_, id_)}: {_text(one)}" for id_, one in result.destination_status.items()]
    return told or ["The collection has no destinations: nothing was to be delivered."]


def _say(text: str) -> None:
    print(f"consignee: {printable(text)}", file=sys.stderr)
