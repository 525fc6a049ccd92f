"""What the commands share that run until SIGTERM."""

import argparse
import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from consignee.errors import SettingsError
from consignee.log import configure_logging
from consignee.settings import SETTINGS, Settings, load_settings

log = logging.getLogger(__name__)


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings, with the address that was given in place of theirs, and log as they say; raises SettingsError."""
    settings = load_settings(arguments.config)
    given = {name: value for name in ("host", "port") if (value := getattr(arguments, name)) is not None}
    for name, value in given.items():
        _check(name, value)
    settings = replace(settings, server=replace(settings.server, **given))
    configure_logging(settings.log)
    return settings


def run_until_done(work: Coroutine[Any, Any, None], settings: Settings) -> None:
    """Run it to its end, on uvloop if that is wanted and installed."""
    with asyncio.Runner(loop_factory=_uvloop() if settings.server.uvloop else None) as runner:
        log.debug("the event loop is that of %s", type(runner.get_loop()).__module__.partition(".")[0])
        runner.run(work)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop of uvloop, which the extra `speed` brings; None if it is not installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _check(name: str, value: object) -> None:
    rule = SETTINGS["server", name].rule
    if rule is None:
        return
    try:
        rule(value)
    except ValueError as error:
        raise SettingsError(f"--{name} {error}") from None
