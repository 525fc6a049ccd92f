"""The file with the fields of a destination or a collection that some commands take."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from consignee.errors import SettingsError


def standard_input() -> TextIO:
    """Return it; raises SettingsError if it is closed."""
    if sys.stdin is None:
        raise SettingsError("standard input is closed")
    return sys.stdin


def read_fields(name: str) -> Mapping[str, Any]:
    """Return the fields in a JSON file, or on standard input for `-`; raises SettingsError if there are none, OSError."""
    try:
        fields = json.loads(standard_input().read() if name == "-" else Path(name).read_text())
    except (ValueError, RecursionError):
        raise SettingsError(f"{name} is not valid JSON") from None
    if not isinstance(fields, dict):
        raise SettingsError(f"{name} must hold a JSON object")
    return fields


def read_unnamed(name: str) -> Mapping[str, Any]:
    """Return the fields of a destination that is never saved: it needs no name."""
    return {"name": "check", "enabled": True, **read_fields(name)}
