"""consignee serve: the API over HTTP."""

import argparse
import asyncio
from dataclasses import replace

from consignee.errors import SettingsError
from consignee.log import configure_logging
from consignee.settings import SETTINGS, load_settings
from consignee.web.server import serve


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; prints one line with the URL once it answers."""
    settings = load_settings(arguments.config)
    for name, value in (("host", arguments.host), ("port", arguments.port)):
        _check(name, value)
    given = {name: getattr(arguments, name) for name in ("host", "port") if getattr(arguments, name) is not None}
    settings = replace(settings, server=replace(settings.server, **given))
    configure_logging(settings.log)
    asyncio.run(serve(settings, ready=_ready))
    return 0


def _check(name: str, value: object) -> None:
    rule = SETTINGS["server", name].rule
    if value is None or rule is None:
        return
    try:
        rule(value)
    except ValueError as error:
        raise SettingsError(f"--{name} {error}") from None


def _ready(url: str) -> None:
    print(f"consignee is ready at {url}", flush=True)
