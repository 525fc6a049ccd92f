"""The command: serve, deliver, check, policy, keys, backup, restore, config, demo."""

import argparse
import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from consignee import __version__

_COMMANDS = {
    "serve": "serve the API over HTTP until SIGTERM",
    "deliver": "hand files to a running service and follow them; exit code 0 if all arrived, 1 if not, 2 if refused",
    "check": "test one destination without a server; exit code 0 if it works, 1 if not, 2 if the file is wrong",
    "policy": "print the smallest policy that lets a destination work, to paste at the provider",
    "keys": "create, list or revoke API keys, also while the server runs",
    "secrets": "rotate the key that seals secrets at rest, also while the server runs",
    "backup": "write a backup of the store and the spool to a file, also while the server runs",
    "restore": "restore a backup where there is nothing yet, while no server runs",
    "config": "show the effective settings, secrets hidden",
    "demo": "the tour: a storage server, this service, and every step in between",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parsed = _parser().parse_args(arguments)
    run = _load(parsed.command)
    from consignee.errors import ConsigneeError
    from consignee.hardening import forbid_core_dumps

    try:
        forbid_core_dumps()
        return run(parsed)
    except ConsigneeError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "))
    except KeyboardInterrupt:
        return 130


def _load(command: str) -> Callable[[argparse.Namespace], int]:
    """Each command is a module of its own, so that `--version` and `--help` load nothing else."""
    gc.disable()  # what is loaded stays: looking for garbage in it would take a tenth of the time, and later time again
    try:
        run: Callable[[argparse.Namespace], int] = importlib.import_module(f"consignee.commands.{command}").run
    finally:
        gc.freeze()
        gc.enable()
    return run


def _refuse(message: str) -> int:
    print(f"consignee: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="consignee", description="Puts files into your customers' own cloud storage.")
    parser.add_argument("--version", action="version", version=f"consignee {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    by_name = {name: commands.add_parser(name, help=text, description=text) for name, text in _COMMANDS.items()}
    for name in ("serve", "deliver", "check", "policy", "keys", "secrets", "backup", "restore", "config"):
        by_name[name].add_argument("--config", type=Path, metavar="FILE", help="settings, in TOML")
    by_name["serve"].add_argument("--host", help="address to listen on")
    by_name["serve"].add_argument("--port", type=int, help="port to listen on; 0 picks a free one")
    for name in ("check", "policy"):
        by_name[name].add_argument("file", metavar="FILE.json", help="the destination's fields; - reads standard input")
    _add_deliver(by_name["deliver"])
    _add_keys(by_name["keys"])
    _add_secrets(by_name["secrets"])
    for name in ("backup", "restore"):
        by_name[name].add_argument("file", metavar="FILE", type=Path, help="the backup")
    by_name["backup"].add_argument("--without-files", action="store_true", help="leave out the files of result sets")
    by_name["demo"].add_argument(
        "--config", type=Path, metavar="FILE", default=Path("config/development.toml"), help="settings, in TOML"
    )
    by_name["demo"].add_argument("--once", action="store_true", help="end after the tour")
    return parser


def _add_deliver(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", required=True, metavar="NAME_OR_ID", help="the collection that they belong to")
    parser.add_argument("--url", help="where the service is; otherwise as the settings say")
    # There is no option for the key itself: everybody on the machine sees a command's arguments.
    parser.add_argument(
        "--key-file", metavar="FILE", help="file of the API key, - for standard input; else the settings' only account"
    )
    parser.add_argument("--no-wait", action="store_true", help="end as soon as the service has the files")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="the files of one result set")


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key for an account, and show it this once")
    create.add_argument("--account", required=True, metavar="NAME", help="the account that the key is for")
    actions.add_parser("list", help="list the keys, without the keys themselves")
    revoke = actions.add_parser("revoke", help="make a key useless, at once")
    revoke.add_argument("id", metavar="ID", help="the key's id, from the list")
    for action in actions.choices.values():
        action.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="settings, in TOML")


def _add_secrets(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    rotate = actions.add_parser("rotate", help="make a new key, and seal everything with it")
    actions.add_parser("status", help="say how many documents are sealed with each key")
    forget = actions.add_parser("forget", help="drop a key that nothing is sealed with any more")
    forget.add_argument("id", metavar="KEY_ID", help="the key's id, from the status")
    for action in actions.choices.values():
        action.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="settings, in TOML")
    rotate.add_argument("--resume", action="store_true", help="make no key, only go on with what is left")
    rotate.add_argument("--new", action="store_true", help="make a key also if something is left of the last rotation")
