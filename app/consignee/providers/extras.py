"""Whether the optional packages of a destination type are installed."""

import asyncio
import importlib.util
import sys
from typing import Final

from consignee.errors import MissingExtra

_FOUND: Final[set[str]] = set()


async def require(module: str, *, extra: str) -> None:
    """Return if the module can be imported, without importing it; raises MissingExtra."""
    if module in sys.modules:
        found = sys.modules[module] is not None
    else:
        # The first look imports the package around the module, and reads directories.
        found = module in _FOUND or await asyncio.to_thread(_look, module)
    if not found:
        raise MissingExtra(extra)


def _look(module: str) -> bool:
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
    if found:
        _FOUND.add(module)
    return found
