"""Whether the optional packages of a destination type are installed."""

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from consignee.errors import MissingExtra
from consignee.providers.base import Provider

log = logging.getLogger(__name__)

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


async def tell_missing(providers: Iterable[Provider]) -> None:
    """Tell the log which types can't be used, for want of which packages; nothing is imported of what is there."""
    types: dict[str, list[str]] = {}
    for provider in providers:
        for module in provider.modules if provider.extra else ():
            if not _lies_on_the_path(module):
                try:
                    await require(module, extra=provider.extra or "")
                except MissingExtra as missing:
                    types.setdefault(str(missing), []).append(provider.type)
                    break
    for what, names in types.items():
        log.info("destinations can't be tested or delivered to, of type %s: %s", " and ".join(names), what)


def _lies_on_the_path(module: str) -> bool:
    """Look for it in the simplest way, which finds what is installed as it usually is."""
    inside = module.replace(".", "/")
    return any(Path(directory, inside).is_dir() for directory in sys.path)


def _look(module: str) -> bool:
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
    if found:
        _FOUND.add(module)
    return found
