"""consignee serve: the API over HTTP."""

import argparse
import gc

from consignee.accounts import require_name
from consignee.commands.output import say
from consignee.commands.running import read_settings, run_until_done
from consignee.errors import SettingsError
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.keys import SESSIONS
from consignee.web.server import serve


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; prints one line with the URL once it answers."""
    settings = read_settings(arguments)
    run_until_done(_serve(settings, arguments, invited=_invited(arguments.console, settings)), settings)
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
    app = create_app(settings, delivers=not arguments.no_worker)

    def ready(url: str) -> None:
        gc.freeze()  # so are the store's documents: they need not be looked at each time that garbage is collected
        lines, link = [f"consignee is ready at {url}"], None
        if invited is not None:
            link = f"{url}/console/#login={app[SESSIONS].invite(invited).reveal()}"
            lines.append(f"the console, as {invited}, once and within 10 minutes: {link}")
        say(arguments, {"url": url, "console": link}, lines)

    await serve(settings, ready=ready, app=app)
