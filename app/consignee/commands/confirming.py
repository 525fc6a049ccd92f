"""What can't be undone is asked for once more."""

import sys
from argparse import Namespace

from consignee.commands.output import printable
from consignee.errors import SettingsError


def confirm(arguments: Namespace, what: str) -> None:
    """Return if it is meant: with --yes, or if somebody says so at the terminal; raises SettingsError."""
    if arguments.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise SettingsError(f"nobody is there to be asked: say with --yes that it shall {printable(what)}")
    print(f"{printable(what)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SettingsError("nothing was done")
