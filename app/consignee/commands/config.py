"""consignee config: the effective settings."""

import argparse
from typing import Any

from consignee.commands.output import say
from consignee.settings import Settings, describe, in_force, load_settings


def run(arguments: argparse.Namespace) -> int:
    """Print the settings as TOML, secrets hidden."""
    settings = load_settings(arguments.config)
    say(arguments, _document(settings), describe(settings).splitlines())
    return 0


def _document(settings: Settings) -> dict[str, Any]:
    """Each setting with its value, and where that is from."""
    found: dict[str, Any] = {}
    for prefix, entries in in_force(settings).items():
        table = found
        for name in prefix:
            table = table.setdefault(name, {})
        table |= {entry.name: {"value": entry.value, "source": entry.source} for entry in entries}
    return found
