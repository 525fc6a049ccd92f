"""How a setting is described: once, where it is a field."""

from dataclasses import field
from typing import Any

from consignee.rules import Rule


def setting(default: Any, about: str, rule: Rule | None = None, *, in_file: bool = True) -> Any:
    """Return the field of a setting; what is not `in_file` comes by the environment alone."""
    return field(default=default, metadata={"about": about, "rule": rule, "in_file": in_file})
