"""consignee check: tests one destination without a server or a store."""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from consignee.commands.fields import read_unnamed
from consignee.commands.output import say, steps
from consignee.errors import VerificationFailed
from consignee.opening import open_destinations
from consignee.secret import Secret
from consignee.settings import Settings, load_settings
from consignee.store.memory import MemoryStore
from consignee.verification import Report


def run(arguments: argparse.Namespace) -> int:
    """Print the steps; return 0 if the destination works, 1 if not. Raises InvalidRequest if its fields are wrong."""
    try:
        report = asyncio.run(_test(load_settings(arguments.config), read_unnamed(arguments.file)))
    except VerificationFailed as failed:
        report = failed.report
    say(arguments, {"connectivity": report.to_json()}, _lines(report))
    return 0 if report.ok else 1


async def _test(settings: Settings, fields: Mapping[str, Any]) -> Report:
    store = MemoryStore()
    await store.open()
    with tempfile.TemporaryDirectory(prefix="consignee-") as spool:
        throwaway = replace(
            settings,
            secrets=replace(settings.secrets, key=Secret("00" * 32)),
            delivery=replace(settings.delivery, spool=spool),
        )
        async with open_destinations(throwaway, store=store) as destinations:
            return await destinations.test("check", fields)


def _lines(report: Report) -> Iterator[str]:
    yield from steps(report.to_json())
    if report.doubtful:
        yield f"This command keeps nothing in mind: look whether {report.doubtful} is in the bucket, and remove it."
    yield report.message or "The destination works."
