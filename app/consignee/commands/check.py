"""consignee check: tests one destination without a server or a store."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from consignee.errors import InvalidRequest, SettingsError, VerificationFailed
from consignee.opening import open_destinations
from consignee.secret import Secret
from consignee.settings import Settings, load_settings
from consignee.store.memory import MemoryStore
from consignee.verification import Report


def run(arguments: argparse.Namespace) -> int:
    """Print the steps; return 0 if the destination works, 1 if not, 2 if its fields are wrong."""
    try:
        report = asyncio.run(_test(load_settings(arguments.config), _fields(arguments.file)))
    except VerificationFailed as failed:
        _print(failed.report)
        return 1
    except InvalidRequest as error:
        for field, problems in error.errors.items():
            print(f"{field}: {', '.join(problems)}", file=sys.stderr)
        return 2
    _print(report)
    return 0


def _fields(name: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
    except (ValueError, RecursionError):
        raise SettingsError(f"{name} is not valid JSON") from None
    if not isinstance(fields, dict):
        raise SettingsError(f"{name} must hold a JSON object")
    return {"name": "check", "enabled": True, **fields}


async def _test(settings: Settings, fields: Mapping[str, Any]) -> Report:
    throwaway = replace(settings, secrets=replace(settings.secrets, key=Secret("00" * 32)))
    store = MemoryStore()
    await store.open()
    async with open_destinations(throwaway, store=store) as destinations:
        return await destinations.test(fields)


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
    print(report.message or "The destination works.")
