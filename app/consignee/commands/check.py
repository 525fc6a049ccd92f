"""consignee check: tests one destination without a server or a store."""

import argparse
import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from consignee.commands.fields import print_errors, read_fields
from consignee.errors import InvalidRequest, VerificationFailed
from consignee.opening import open_destinations
from consignee.secret import Secret
from consignee.settings import Settings, load_settings
from consignee.store.memory import MemoryStore
from consignee.verification import Report


def run(arguments: argparse.Namespace) -> int:
    """Print the steps; return 0 if the destination works, 1 if not, 2 if its fields are wrong."""
    try:
        report = asyncio.run(_test(load_settings(arguments.config), read_fields(arguments.file)))
    except VerificationFailed as failed:
        _print(failed.report)
        return 1
    except InvalidRequest as error:
        print_errors(error)
        return 2
    _print(report)
    return 0


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


def _print(report: Report) -> None:
    for step in report.steps:
        print(f"{step.step:8} {'ok' if step.ok else step.code} ({step.ms} ms)")
        for label, value in (
            ("provider", step.provider_code),
            ("request", step.provider_request_id),
            ("hint", step.hint),
        ):
            if value:
                print(f"         {label}: {value}")
    if report.doubtful:
        print(f"This command keeps nothing in mind: look whether {report.doubtful} is in the bucket, and remove it.")
    print(report.message or "The destination works.")
