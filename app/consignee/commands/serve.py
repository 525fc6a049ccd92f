"""consignee serve: the API over HTTP."""

import argparse
import asyncio
import gc
import logging
from collections.abc import Callable
from dataclasses import replace

from consignee.accounts import require_name
from consignee.commands.output import say
from consignee.errors import SettingsError
from consignee.log import configure_logging
from consignee.settings import SETTINGS, Settings, load_settings
from consignee.web import create_app
from consignee.web.keys import SESSIONS
from consignee.web.server import serve

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; prints one line with the URL once it answers."""
    settings = load_settings(arguments.config)
    for name, value in (("host", arguments.host), ("port", arguments.port)):
        _check(name, value)
    given = {name: getattr(arguments, name) for name in ("host", "port") if getattr(arguments, name) is not None}
    settings = replace(settings, server=replace(settings.server, **given))
    configure_logging(settings.log)
    with asyncio.Runner(loop_factory=_uvloop() if settings.server.uvloop else None) as runner:
        log.debug("the event loop is that of %s", type(runner.get_loop()).__module__.partition(".")[0])
        runner.run(_serve(settings, arguments, invited=_invited(arguments.console, settings)))
    return 0


def _invited(account: str | None, settings: Settings) -> str | None:
    """Return the account that a link to the console is wanted for, if one is: the only fixed one, if none is named."""
    if account == "":
        names = {one.name for one in settings.accounts.fixed}
        if len(names) != 1:
            raise SettingsError("--console needs the name of an account: the settings do not have exactly one")
        return names.pop()
    if account is not None:
        require_name(account)
    return account


async def _serve(settings: Settings, arguments: argparse.Namespace, *, invited: str | None) -> None:
    app = create_app(settings)

    def ready(url: str) -> None:
        gc.freeze()  # so are the store's documents: they need not be looked at each time that garbage is collected
        lines, link = [f"consignee is ready at {url}"], None
        if invited is not None:
            link = f"{url}/console/#login={app[SESSIONS].invite(invited).reveal()}"
            lines.append(f"the console, as {invited}, once and within 10 minutes: {link}")
        say(arguments, {"url": url, "console": link}, lines)

    await serve(settings, ready=ready, app=app)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop of uvloop, which the extra `speed` brings; None if it is not installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _check(name: str, value: object) -> None:
    rule = SETTINGS["server", name].rule
    if value is None or rule is None:
        return
    try:
        rule(value)
    except ValueError as error:
        raise SettingsError(f"--{name} {error}") from None
