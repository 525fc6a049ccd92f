"""consignee worker: deliveries alone, beside servers and other workers on the same database."""

import argparse
import gc

from consignee.commands.output import say
from consignee.commands.running import read_settings, run_until_done
from consignee.errors import SettingsError
from consignee.settings import Settings
from consignee.web import create_worker
from consignee.web.server import serve

_ALONE = "a worker needs a store that it can share with servers: set store.url, or run consignee serve alone, which delivers too"


def run(arguments: argparse.Namespace) -> int:
    """Deliver until SIGTERM; prints one line once it is at work."""
    if arguments.host is not None and arguments.port is None:
        raise SettingsError("--host says where to listen, which a worker does only if --port is given too")
    settings = read_settings(arguments)
    if not settings.store.url:
        raise SettingsError(_ALONE)
    run_until_done(_work(settings, arguments), settings)
    return 0


async def _work(settings: Settings, arguments: argparse.Namespace) -> None:
    def ready(url: str) -> None:
        gc.freeze()
        say(arguments, {"url": url or None}, [f"consignee worker is ready{f' at {url}' if url else ''}"])

    await serve(settings, ready=ready, app=create_worker(settings), listens=arguments.port is not None)
