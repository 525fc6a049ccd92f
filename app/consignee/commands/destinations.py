"""consignee destinations: what a customer's files go to, at a running service."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Final

from consignee.client import Client, Destination, Verified
from consignee.commands.confirming import confirm
from consignee.commands.fields import read_fields
from consignee.commands.output import members, printable, say, steps, table
from consignee.commands.remote import Actions, act, chosen, found
from consignee.errors import SettingsError

_HEADS: Final = ("ID", "NAME", "TYPE", "ENABLED", "LAST TEST", "DELIVERIES", "USED BY")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; return 0, or 1 if a destination does not work."""
    return act(arguments, _ACTIONS)


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    enabled = None if arguments.enabled is None else arguments.enabled == "true"
    every = client.destinations.list(search_term=arguments.search_term, type=arguments.type, enabled=enabled)
    known = [one async for one in every]
    say(arguments, {"destinations": [one.to_json() for one in known]}, table(_HEADS, map(_row, known)))
    return 0


def _row(one: Destination) -> tuple[object, ...]:
    return (one.id, one.name, one.type, one.enabled, _tested(one), one.deliveries.state, one.used_by)


def _tested(one: Destination) -> str:
    if one.last_test is None:
        return "never"
    return (
        "ok"
        if one.last_test.ok
        else next(step.code or "failed" for step in one.last_test.connectivity.steps if not step.ok)
    )


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    return _shown(arguments, await _found(client, arguments.destination))


def _shown(arguments: argparse.Namespace, one: Destination) -> int:
    told = {**one.to_json(), "last_test": _last_test(one), "deliveries": one.deliveries.state}
    attention = one.deliveries.attention
    problem = {"attention": f"{attention.message} {attention.hint}"} if attention else {}
    log = [f"{entry.date_time}  {entry.text}" for entry in one.deliveries.log]
    say(arguments, {"destination": one.to_json()}, [*members({**told, **problem}), *log])
    return 0


def _last_test(one: Destination) -> str:
    return f"{_tested(one)}, {one.last_test.at}" if one.last_test else "never"


async def _create(client: Client, arguments: argparse.Namespace) -> int:
    return _shown(arguments, await client.destinations.create(read_fields(arguments.file)))


async def _update(client: Client, arguments: argparse.Namespace) -> int:
    return await _change(client, arguments, read_fields(arguments.file))


async def _enable(client: Client, arguments: argparse.Namespace) -> int:
    return await _change(client, arguments, {"enabled": arguments.action == "enable"})


async def _change(client: Client, arguments: argparse.Namespace, fields: Mapping[str, object]) -> int:
    one = await _found(client, arguments.destination)
    return _shown(arguments, await client.destinations.update(one.id, fields))


async def _test(client: Client, arguments: argparse.Namespace) -> int:
    """Each destination is told of as its test ends; with --json, in a line for each."""
    if arguments.fields is not None and arguments.destinations:
        raise SettingsError("--fields are of a destination that is not saved: name none beside them")
    if arguments.fields is not None:
        watched = sys.stderr.isatty() and not arguments.json
        under_way = _under_way if watched else None
        report = await client.destinations.test_fields(read_fields(arguments.fields), under_way=under_way)
        say(arguments, {"connectivity": report.to_json()}, steps(report.to_json()))
        return 0
    every = [one async for one in client.destinations.list()]
    ids = [chosen(every, wanted, "destination").id for wanted in arguments.destinations]
    names, bad = {one.id: one.name for one in every}, 0
    async for outcome in client.destinations.verify(ids or None):
        bad += not outcome.ok
        say(arguments, outcome.to_json(), _outcome(outcome, names.get(outcome.id, "")))
    return 1 if bad else 0


def _under_way(step: str) -> None:
    print(printable(f"{step} ..."), file=sys.stderr, flush=True)


def _outcome(outcome: Verified, name: str) -> list[str]:
    if outcome.ok:
        return [f"{outcome.id}  {name}: ok"]
    return [f"{outcome.id}  {name}: does not work", *(f"  {line}" for line in steps(outcome.connectivity.to_json()))]


async def _delete(client: Client, arguments: argparse.Namespace) -> int:
    one = await _found(client, arguments.destination)
    confirm(arguments, f"delete the destination {one.name!r} ({one.id}) and cancel its deliveries")
    await client.destinations.delete(one.id)
    say(arguments, {"deleted": one.id}, [f"deleted {one.id}"])
    return 0


async def _resend(client: Client, arguments: argparse.Namespace) -> int:
    one = await _found(client, arguments.destination)
    count = await client.destinations.resend(one.id, since=arguments.since)
    say(arguments, {"resent": count}, [f"{count} deliveries are made again"])
    return 0


async def _policy(client: Client, arguments: argparse.Namespace) -> int:
    smallest = await client.destinations.policy((await _found(client, arguments.destination)).id)
    say(arguments, {"policy": smallest}, json.dumps(smallest, indent=2).splitlines())
    return 0


async def _types(client: Client, arguments: argparse.Namespace) -> int:
    known = await client.destination_types()
    rows = [(one.type, field.name, field.required, field.secret, field.label) for one in known for field in one.fields]
    heads = ("TYPE", "FIELD", "REQUIRED", "SECRET", "WHAT IT IS")
    say(arguments, {"destination_types": [one.to_json() for one in known]}, table(heads, rows))
    return 0


async def _found(client: Client, wanted: str) -> Destination:
    return await found(client.destinations.list(), wanted, "destination")


_ACTIONS: Final[Actions] = {
    "list": _list,
    "show": _show,
    "create": _create,
    "update": _update,
    "test": _test,
    "enable": _enable,
    "disable": _enable,
    "delete": _delete,
    "policy": _policy,
    "resend": _resend,
    "types": _types,
}
