"""consignee serve: the API over HTTP."""

import argparse
import asyncio
from dataclasses import replace

from consignee.log import configure_logging
from consignee.settings import load_settings
from consignee.web.server import serve


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; prints one line with the URL once it answers."""
    settings = load_settings(arguments.config)
    given = {name: getattr(arguments, name) for name in ("host", "port") if getattr(arguments, name) is not None}
    settings = replace(settings, server=replace(settings.server, **given))
    configure_logging(settings.log)
    asyncio.run(serve(settings, ready=_ready))
    return 0


def _ready(url: str) -> None:
    print(f"consignee is ready at {url}", flush=True)
