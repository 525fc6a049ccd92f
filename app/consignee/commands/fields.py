"""The file with a destination's fields that some commands take."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consignee.errors import InvalidRequest, SettingsError


def read_fields(name: str) -> Mapping[str, Any]:
    """Return the fields in a JSON file, or on standard input for `-`; raises SettingsError if there are none."""
    try:
        fields = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
    except (ValueError, RecursionError):
        raise SettingsError(f"{name} is not valid JSON") from None
    if not isinstance(fields, dict):
        raise SettingsError(f"{name} must hold a JSON object")
    return {"name": "check", "enabled": True, **fields}


def print_errors(error: InvalidRequest) -> None:
    """Print every wrong field with what is wrong."""
    for field, problems in error.errors.items():
        print(f"{field}: {', '.join(problems)}", file=sys.stderr)
