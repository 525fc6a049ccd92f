"""The options of the commands that talk to a running service."""

from argparse import ArgumentTypeError
from pathlib import Path

from consignee.commands.options import Parser, add_actions, add_settings

STATUSES = ("pending", "uploading", "success", "retrying", "failed", "skipped")
_MOST = 50
"""How many of a long list are shown, unless somebody wants more."""
_DESTINATIONS = {
    "list": "list the destinations",
    "show": "show one destination",
    "create": "create a destination; one that is enabled is tested first",
    "update": "change what is given of a destination",
    "test": "test destinations, all of them if none is named; exit code 1 if one does not work",
    "enable": "enable a destination, which tests it",
    "disable": "disable a destination: nothing is delivered to it any more",
    "delete": "delete a destination, and cancel its deliveries",
    "policy": "print the smallest policy that lets a destination work, to paste at the provider",
    "resend": "repeat what failed or was skipped at a destination",
    "types": "list the destination types with their fields",
}
_COLLECTIONS = {
    "list": "list the collections",
    "show": "show one collection",
    "create": "create a collection",
    "update": "change what is given of a collection",
    "delete": "delete a collection with its result sets",
}
_RESULTS = {
    "list": "list the result sets of a collection, newest first",
    "show": "show a result set with its files and deliveries",
    "resend": "deliver a result set again",
    "download": "save files of a result set, all of them if none is named",
}
_DELIVERIES = {
    "list": "list deliveries, newest first",
    "show": "show a delivery with its log and its uploads",
    "resend": "make a delivery again",
}


def add_remote(parser: Parser, *, nested: bool = False) -> None:
    """Add where the service is, and the key to it."""
    add_settings(parser, nested=nested)
    parser.add_argument("--url", help="where the service is; otherwise as the settings say")
    # There is no option for the key itself: everybody on the machine sees a command's arguments.
    parser.add_argument(
        "--key-file", metavar="FILE", help="file of the API key, - for standard input; otherwise as the settings say"
    )


def add_deliver(parser: Parser) -> None:
    """Add the options of `deliver`."""
    add_remote(parser)
    parser.add_argument("--collection", required=True, metavar="NAME_OR_ID", help="the collection that they belong to")
    parser.add_argument("--no-wait", action="store_true", help="end as soon as the service has the files")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="the files of one result set")


def add_destinations(parser: Parser) -> None:
    """Add the options of `destinations`."""
    actions = _remote_actions(parser, _DESTINATIONS)
    for name in ("show", "update", "enable", "disable", "delete", "policy", "resend"):
        actions[name].add_argument("destination", metavar="NAME_OR_ID", help="the destination")
    for name in ("create", "update"):
        _add_file(actions[name])
    listing, test = actions["list"], actions["test"]
    listing.add_argument("--search-term", metavar="TEXT", help="only those with this in their name")
    listing.add_argument("--type", help="only those of this type")
    listing.add_argument("--enabled", choices=("true", "false"), help="only those that are, or are not")
    test.add_argument("destinations", metavar="NAME_OR_ID", nargs="*", help="a destination")
    test.add_argument(
        "--fields", metavar="FILE.json", help="test these fields, which are not saved; - for standard input"
    )
    actions["resend"].add_argument("--since", metavar="TIME", help="only what ended since then, in ISO 8601")
    _add_yes(actions["delete"])


def add_collections(parser: Parser) -> None:
    """Add the options of `collections`."""
    actions = _remote_actions(parser, _COLLECTIONS)
    for name in ("show", "update", "delete"):
        _add_collection(actions[name])
    for name in ("create", "update"):
        _add_file(actions[name])
    _add_yes(actions["delete"])


def add_results(parser: Parser) -> None:
    """Add the options of `results`."""
    actions = _remote_actions(parser, _RESULTS)
    for action in actions.values():
        _add_collection(action)
    for name in ("show", "resend", "download"):
        actions[name].add_argument("number", metavar="NUMBER", type=int, help="the number of the result set")
    _add_limit(actions["list"])
    resend, download = actions["resend"], actions["download"]
    resend.add_argument(
        "--destination", metavar="NAME_OR_ID", action="append", help="only to this one; may be repeated"
    )
    download.add_argument("names", metavar="FILE", nargs="*", help="the name of a file")
    download.add_argument("--directory", metavar="DIRECTORY", default=".", help="where to save them; here by default")


def add_deliveries(parser: Parser) -> None:
    """Add the options of `deliveries`."""
    actions = _remote_actions(parser, _DELIVERIES)
    for name in ("show", "resend"):
        actions[name].add_argument("id", metavar="ID", help="the delivery, from the list")
    listing = actions["list"]
    listing.add_argument("--collection", metavar="NAME_OR_ID", help="only those of this collection")
    listing.add_argument("--destination", metavar="NAME_OR_ID", help="only those to this destination")
    listing.add_argument("--status", choices=STATUSES, help="only those with this status")
    _add_limit(listing)


def _remote_actions(parser: Parser, texts: dict[str, str]) -> dict[str, Parser]:
    actions = add_actions(parser, texts)
    for action in actions.values():
        add_remote(action, nested=True)
    return actions


def _add_collection(parser: Parser) -> None:
    parser.add_argument("collection", metavar="NAME_OR_ID", help="the collection")


def _add_file(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE.json", help="the fields, secrets among them; - reads standard input")


def _add_limit(parser: Parser) -> None:
    parser.add_argument(
        "--limit", metavar="COUNT", type=_count, default=_MOST, help=f"at most so many; {_MOST} by default"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


def _add_yes(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask whether it is meant")
