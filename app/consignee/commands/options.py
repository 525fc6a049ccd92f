"""The options of the commands that need no server, or run one; those of a customer's are in `remote_options`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

Parser = argparse.ArgumentParser

_KEYS = {
    "create": "make a key for an account, and show it this once",
    "list": "list the keys, without the keys themselves",
    "revoke": "make a key useless, at once",
}
_SECRETS = {
    "rotate": "make a new key, and seal everything with it",
    "status": "say how many documents are sealed with each key",
    "forget": "drop a key that nothing is sealed with any more",
}

_STORE = {"copy": "copy all of a store to another one, or go on with that; compared at the end"}


def add_settings(parser: Parser, *, nested: bool = False) -> None:
    """Add what nearly every command takes."""
    default = argparse.SUPPRESS if nested else None
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help="settings, in TOML")
    parser.add_argument("--json", action="store_true", help="answer in JSON, also what goes wrong")


def add_actions(parser: Parser, texts: Mapping[str, str]) -> dict[str, Parser]:
    """Add the actions of a command, and return them by name."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, in TOML")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    return {name: actions.add_parser(name, help=text, description=text) for name, text in texts.items()}


def add_serve(parser: Parser) -> None:
    """Add the options of `serve`."""
    add_settings(parser)
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 picks a free one")
    parser.add_argument("--no-worker", action="store_true", help="leave all deliveries to workers; needs store.url")
    parser.add_argument(
        "--console", nargs="?", const="", metavar="ACCOUNT", help="print a link that logs in to the console once"
    )


def add_worker(parser: Parser) -> None:
    """Add the options of `worker`."""
    add_settings(parser)
    parser.add_argument("--host", help="address to listen on, if --port is given")
    parser.add_argument(
        "--port", type=int, help="port for /healthz, /readyz and /metrics; otherwise it does not listen"
    )


def add_health(parser: Parser) -> None:
    """Add the options of `health`."""
    add_settings(parser)
    parser.add_argument("--url", help="where the service is; otherwise as the settings say")


def add_fields(parser: Parser) -> None:
    """Add the options of `check` and `policy`."""
    add_settings(parser)
    parser.add_argument("file", metavar="FILE.json", help="the destination's fields; - reads standard input")


def add_restore(parser: Parser) -> None:
    """Add the options of `restore`."""
    add_settings(parser)
    parser.add_argument("file", metavar="FILE", type=Path, help="the backup")


def add_backup(parser: Parser) -> None:
    """Add the options of `backup`."""
    add_restore(parser)
    parser.add_argument("--without-files", action="store_true", help="leave out the files of result sets")


def add_demo(parser: Parser) -> None:
    """Add the options of `demo`."""
    default = Path("config/development.toml")
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help="settings, in TOML")
    parser.add_argument("--once", action="store_true", help="end after the tour")


def add_completion(parser: Parser) -> None:
    """Add the options of `completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that the script is for")


def add_keys(parser: Parser) -> None:
    """Add the options of `keys`."""
    actions = add_actions(parser, _KEYS)
    actions["create"].add_argument("--account", required=True, metavar="NAME", help="the account that the key is for")
    actions["revoke"].add_argument("id", metavar="ID", help="the key's id, from the list")
    for action in actions.values():
        add_settings(action, nested=True)


def add_secrets(parser: Parser) -> None:
    """Add the options of `secrets`."""
    actions = add_actions(parser, _SECRETS)
    actions["forget"].add_argument("id", metavar="KEY_ID", help="the key's id, from the status")
    for action in actions.values():
        add_settings(action, nested=True)
    rotate = actions["rotate"]
    rotate.add_argument("--resume", action="store_true", help="make no key, only go on with what is left")
    rotate.add_argument("--new", action="store_true", help="make a key also if something is left of the last rotation")


def add_store(parser: Parser) -> None:
    """Add the options of `store`."""
    copy = add_actions(parser, _STORE)["copy"]
    add_settings(copy, nested=True)
    where = (
        "a directory, or the URL of a database, whose password others could see; otherwise the store of the settings"
    )
    copy.add_argument("--from", dest="source", metavar="PLACE", help=f"what is copied: {where}")
    copy.add_argument("--to", dest="target", metavar="PLACE", help=f"where there is nothing yet: {where}")
    copy.add_argument("--without-files", action="store_true", help="leave out the files of result sets")
