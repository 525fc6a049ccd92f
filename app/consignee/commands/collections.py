"""consignee collections: what says to which destinations files go, at a running service."""

import argparse
from typing import Any, Final

from consignee.client import Client, Collection
from consignee.commands.confirming import confirm
from consignee.commands.fields import read_fields
from consignee.commands.output import members, say, table
from consignee.commands.remote import Actions, act, found
from consignee.errors import SettingsError

_HEADS: Final = ("ID", "NAME", "DESTINATIONS", "RESULT SETS", "WEBHOOK")
_FIELDS: Final = ("name", "destination_ids", "notification_webhook", "notification_webhook_secret", "manifest")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; return 0."""
    return act(arguments, _ACTIONS)


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    known = [one async for one in client.collections.list()]
    rows = [(one.id, one.name, one.destination_ids, one.results_count, bool(one.notification_webhook)) for one in known]
    say(arguments, {"collections": [one.to_json() for one in known]}, table(_HEADS, rows))
    return 0


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    return _shown(arguments, await of_name(client, arguments.collection))


async def _create(client: Client, arguments: argparse.Namespace) -> int:
    fields = {"name": "", **_fields(arguments.file)}
    return _shown(arguments, await client.collections.create(**fields))


async def _update(client: Client, arguments: argparse.Namespace) -> int:
    fields = _fields(arguments.file)
    one = await of_name(client, arguments.collection)
    return _shown(arguments, await client.collections.update(one.id, **fields))


async def _delete(client: Client, arguments: argparse.Namespace) -> int:
    one = await of_name(client, arguments.collection)
    confirm(arguments, f"delete the collection {one.name!r} ({one.id}) with its result sets")
    await client.collections.delete(one.id)
    say(arguments, {"deleted": one.id}, [f"deleted {one.id}"])
    return 0


def _shown(arguments: argparse.Namespace, one: Collection) -> int:
    say(arguments, {"collection": one.to_json()}, members(one.to_json()))
    return 0


def _fields(file: str) -> dict[str, Any]:
    """A field that is null is emptied."""
    fields = {name: "" if value is None else value for name, value in read_fields(file).items()}
    if unknown := sorted(fields.keys() - {*_FIELDS}):
        raise SettingsError(f"{file}: a collection has no field {unknown[0]!r}; it has {', '.join(_FIELDS)}")
    if not isinstance(fields.get("destination_ids", []), list):
        raise SettingsError(f"{file}: destination_ids must be a list of ids")
    return fields


async def of_name(client: Client, wanted: str) -> Collection:
    """Return the collection of that id or name; raises ConsigneeError."""
    return await found(client.collections.list(), wanted, "collection")


_ACTIONS: Final[Actions] = {
    "list": _list,
    "show": _show,
    "create": _create,
    "update": _update,
    "delete": _delete,
}
