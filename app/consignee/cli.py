"""The command: what it can do, and what becomes of what goes wrong."""

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence

from consignee import __version__
from consignee.commands import options, remote_options

TYPE_CHECKING = False  # what type checkers take for true; importing it from typing would take a tenth of a start
if TYPE_CHECKING:
    from typing import NoReturn

    from consignee.errors import ConsigneeError

_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "serve": (options.add_serve, "serve the API over HTTP until SIGTERM"),
    "worker": (options.add_worker, "deliver, without an API, until SIGTERM: beside servers, on the same database"),
    "health": (options.add_health, "ask the service on this machine whether it is ready; exit code 0 if so, 1 if not"),
    "deliver": (
        remote_options.add_deliver,
        "hand files to a running service and follow them; exit code 0 if no delivery failed, 1 if one did, 2 if refused",
    ),
    "destinations": (
        remote_options.add_destinations,
        "list, create, test and change destinations of a running service",
    ),
    "collections": (remote_options.add_collections, "list, create and change collections of a running service"),
    "results": (remote_options.add_results, "list, show, resend and download result sets of a running service"),
    "deliveries": (remote_options.add_deliveries, "list, show and resend deliveries of a running service"),
    "check": (
        options.add_fields,
        "test one destination without a server; exit code 0 if it works, 1 if not, 2 if the file is wrong",
    ),
    "policy": (options.add_fields, "print the smallest policy that lets a destination work, to paste at the provider"),
    "keys": (options.add_keys, "create, list or revoke API keys, also while the server runs"),
    "secrets": (options.add_secrets, "rotate the key that seals secrets at rest, also while the server runs"),
    "backup": (options.add_backup, "write a backup of the store and the spool to a file, also while the server runs"),
    "restore": (options.add_restore, "restore a backup where there is nothing yet, while no server runs"),
    "migrate": (
        options.add_settings,
        "bring the schema of the database that store.url names up to date, also while servers run",
    ),
    "store": (options.add_store, "copy a store to a database or to a directory, while no server runs on either"),
    "config": (options.add_settings, "show the effective settings, secrets hidden"),
    "completion": (options.add_completion, "print a script that lets a shell complete this command"),
    "demo": (options.add_demo, "the tour: a storage server, this service, and every step in between"),
}


class _Wrong(Exception):
    """The command was called in a way that there is not."""

    def __init__(self, usage: str, message: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "NoReturn":
        raise _Wrong(f"{self.format_usage()}{self.prog}: error: ", message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        parsed = parser(next((word for word in given if not word.startswith("-")), "")).parse_args(given)
    except _Wrong as wrong:
        return _misused(wrong, as_json="--json" in given)
    run = _load(parsed.command)
    from consignee.errors import ConsigneeError
    from consignee.hardening import forbid_core_dumps

    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that it has no letters for is printed all the same
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        forbid_core_dumps()
        return run(parsed)
    except BrokenPipeError:
        return _unread()
    except (ConsigneeError, OSError) as error:
        return _failed(error, as_json=getattr(parsed, "json", False))
    except KeyboardInterrupt:
        return 130


def _failed(error: "ConsigneeError | OSError", *, as_json: bool) -> int:
    from consignee.commands.output import complain

    try:
        return complain(error, as_json=as_json)
    except BrokenPipeError:
        return _unread()
    except OSError as unheard:
        return complain(unheard, as_json=False)


def _unread() -> int:
    """Whoever reads the output has enough of it, such as `head`: the status is that of other commands."""
    with open(os.devnull, "w") as nowhere:  # for what is still to be written when Python ends
        os.dup2(nowhere.fileno(), 1)
    return 141


def _misused(wrong: _Wrong, *, as_json: bool) -> int:
    if not as_json:
        print(f"{wrong.usage}{wrong}", file=sys.stderr)
        return 2
    import json

    info = {"success": False, "code": "invalid_request", "message": str(wrong)}
    print(json.dumps({"request_info": info}))
    return 2


def _load(command: str) -> Callable[[argparse.Namespace], int]:
    """Each command is a module of its own, so that `--version` and `--help` load nothing else."""
    gc.disable()  # what is loaded stays: looking for garbage in it would take a tenth of the time, and later time again
    try:
        run: Callable[[argparse.Namespace], int] = importlib.import_module(f"consignee.commands.{command}").run
    finally:
        gc.freeze()
        gc.enable()
    return run


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command, or the same with the options of that one command alone."""
    made = _Parser(prog="consignee", description="Puts files into your customers' own cloud storage.")
    made.add_argument("--version", action="version", version=f"consignee {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add_options, text) in _COMMANDS.items():
        added = commands.add_parser(name, help=text, description=text)
        if command is None or command == name:
            add_options(added)
    return made
